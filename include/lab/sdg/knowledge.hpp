// Knowledge leaves: questions about the leaf's documents, with answers that stand in them. Four sources: sentences of
// the documents (rules and teacher write questions, the teacher's likelihood chooses), the seeds asked in other words,
// sentences to complete, sections to recall. The first pass uses every item once; later passes sample the teacher.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/contamination_check.hpp"
#include "lab/sdg/knowledge_checks.hpp"
#include "lab/sdg/language.hpp"

namespace lab::sdg {

/// The word that most of the seeds' questions have in common, with the article it usually has: "Pellamy", "the
/// ollophone".
[[nodiscard]] inline std::string topic_of(const taxonomy::leaf& leaf) {
    std::map<std::string, std::size_t> questions_with;
    std::map<std::string, std::map<std::string, std::size_t>> spellings;
    std::size_t total = 0;
    for (const auto& seed : leaf.seeds)
        for (const auto& qa : seed.questions_and_answers) {
            ++total;
            for (const auto& stem : content_set(qa.question)) ++questions_with[stem];
            const auto words = detail::split_words(qa.question);
            for (std::size_t i = 1; i < words.size(); ++i) {
                std::string word = words[i];
                while (!word.empty() && !detail::is_upper(word.back()) && !detail::is_lower(word.back()))
                    word.pop_back();
                if (word.ends_with("'s")) word.resize(word.size() - 2);
                const auto stems = content_stems(word);
                if (stems.size() != 1) continue;
                const bool article = words[i - 1] == "the" || words[i - 1] == "an" || words[i - 1] == "a";
                ++spellings[stems[0]][article ? words[i - 1] + " " + word : word];
            }
        }
    const auto* best = static_cast<const std::pair<const std::string, std::size_t>*>(nullptr);
    for (const auto& entry : questions_with)
        if (best == nullptr || entry.second > best->second) best = &entry;
    if (best == nullptr || best->second * 2 < total) return {};
    const auto& ways = spellings[best->first];
    const auto usual =
        std::max_element(ways.begin(), ways.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    return usual == ways.end() ? std::string() : usual->first;
}

class knowledge_source {
public:
    /// @param count tokens of a text, for the chunks
    knowledge_source(const taxonomy::leaf& leaf, const pipeline_options& options, token_counter count)
        : leaf_(leaf), language_(language_in(leaf)), topic_(language_ == language::english ? topic_of(leaf) : "") {
        std::vector<item> facts, seeds, completions, sections;
        for (const auto& document : leaf.documents)
            for (auto& piece : chunks_of(document.text, options.chunks, count))
                read(document.path, piece, facts, completions, sections);
        for (std::size_t s = 0; s < leaf.seeds.size(); ++s)
            for (std::size_t q = 0; q < leaf.seeds[s].questions_and_answers.size(); ++q)
                seeds.push_back({kind::seed, {}, {}, s, q});
        const counter_rng order(options.seed, hash64("items", hash64(leaf.id)));
        for (auto* list : {&facts, &seeds, &completions, &sections}) {
            counter_rng rng = order;
            shuffle(*list, rng);
        }
        // What the seeds do not tell comes first, and before that what the surest rules found.
        std::set<std::string> told;
        for (const auto& seed : leaf.seeds)
            for (const auto& qa : seed.questions_and_answers) told.insert(detail::lower(qa.answer));
        const auto place_in_line = [&](const item& it) {
            bool known = false;
            for (const auto& answer : told)
                known = known || detail::lower(it.form.answer).find(answer) != std::string::npos;
            return std::pair(known, !detail::one_of(it.form.rule, sure_rules));
        };
        for (auto* list : {&facts, &completions})
            std::stable_sort(list->begin(), list->end(),
                             [&](const item& x, const item& y) { return place_in_line(x) < place_in_line(y); });
        for (std::size_t round = 0, placed = 0;
             placed < facts.size() + seeds.size() + completions.size() + sections.size(); ++round)
            for (auto [list, each] :
                 {std::pair{&facts, 4u}, std::pair{&seeds, 2u}, std::pair{&completions, 1u}, std::pair{&sections, 1u}})
                for (std::size_t k = round * each; k < std::min<std::size_t>(list->size(), (round + 1) * each);
                     ++k, ++placed)
                    items_.push_back((*list)[k]);
    }

    [[nodiscard]] std::size_t items() const noexcept { return items_.size(); }
    [[nodiscard]] const std::string& topic() const noexcept { return topic_; }

    /// The candidates of items [first, first + count), counted through all passes.
    [[nodiscard]] std::vector<candidate> propose(leaf_run& run, std::uint64_t first, std::size_t count) const {
        std::vector<candidate> batch;
        std::vector<text::request> requests;
        std::vector<candidate> drafts;  // one for each request
        for (std::uint64_t n = first; n < first + count && !items_.empty(); ++n) {
            const item& it = items_[n % items_.size()];
            const std::uint64_t pass = n / items_.size();
            if (it.what == kind::fact) from_fact(run, it, n, pass, batch, requests, drafts);
            if (it.what == kind::seed) from_seed(run, it, n, pass, batch, requests, drafts);
            if (it.what == kind::completion && pass == 0) batch.push_back(completion(it, n));
            if (it.what == kind::section && pass == 0) batch.push_back(section(it, n));
        }
        if (!requests.empty()) {
            const auto answers = run.teacher.complete(requests);
            for (std::size_t k = 0; k < drafts.size(); ++k) {
                drafts[k].question = as_question(requests[k].assistant_prefix + answers[k].text);
                batch.push_back(std::move(drafts[k]));
            }
        }
        return batch;
    }

private:
    enum class kind { fact, seed, completion, section };
    static constexpr std::array<std::string_view, 6> sure_rules{"called",    "name-of", "how-many",
                                                                "what-kind", "made-of", "be-phrase"};
    struct place {
        std::string path, document, section;  // file, its title, the last heading
        text_range span;
        std::string text, digest;
    };
    struct item {
        kind what;
        std::string sentence;
        question_form form;
        std::size_t a, b;       // seed: context, question; else a: index of the place
        bool resolved = false;  // the sentence's pronoun was replaced by what it means: to be confirmed
    };

    [[nodiscard]] static language language_in(const taxonomy::leaf& leaf) {
        std::string text;
        for (const auto& seed : leaf.seeds) {
            text += seed.context + " ";
            for (const auto& qa : seed.questions_and_answers) text += qa.question + " ";
        }
        return language_of(text);
    }
    /// Numbering says nothing in a question: "§ 2 Putting out", "3.1 Bins".
    [[nodiscard]] static std::string without_numbering(std::string_view heading) {
        std::size_t at = 0;
        const auto numbering = [](char c) {
            return detail::is_digit(c) || detail::is_space(c) || c == '.' || c == ')';
        };
        if (heading.starts_with("\xc2\xa7")) at = 2;
        while (at < heading.size() && numbering(heading[at])) ++at;
        return std::string(at == heading.size() ? heading : heading.substr(at));
    }
    /// A sentence to complete where no rule of grammar applies: it ends in a number with its unit, else in what stands
    /// behind the last preposition or article, else in its last two words. @return where the answer begins; 0: nowhere
    [[nodiscard]] static std::size_t gap_of(const std::string& sentence) {
        const auto w = detail::split_words(sentence);
        if (w.size() < 5 || w.size() > 25 || !sentence.ends_with('.') || sentence.find('|') != sentence.npos ||
            sentence.find('\"') != sentence.npos || !detail::is_name(w[0]) ||
            detail::one_of(detail::lower(w[0]), detail::unclear_openings))
            return 0;
        std::size_t first = w.size() - 2;
        for (std::size_t i = w.size() - 1; i > std::max<std::size_t>(3, w.size() - std::min<std::size_t>(w.size(), 5));
             --i) {
            if (detail::is_number(w[i]) || detail::one_of(w[i], detail::determiners)) {
                first = i;
                break;
            }
            if (detail::one_of(w[i], detail::prepositions) && w[i] != "of" && i + 1 < w.size()) {
                first = i + 1;
                break;
            }
        }
        const auto place = sentence.rfind(detail::join(w, first, w.size()));
        return place == sentence.npos ? 0 : place;
    }

    void read(const std::string& path, const chunk& piece, std::vector<item>& facts, std::vector<item>& completions,
              std::vector<item>& sections) {
        places_.push_back({path, piece.headings.empty() ? path : piece.headings.front(),
                           piece.headings.size() < 2 ? "" : piece.headings.back(), piece.span, flat(piece.text),
                           sha256_hex(piece.text)});
        const std::size_t at = places_.size() - 1;
        std::string subject;  // of the sentence before: what "it" means
        for (const auto& s : sentences_of(piece.text)) {
            std::string sentence = flat(s.of(piece.text));
            if (sentence.find('|') != sentence.npos) continue;  // a table's row is no sentence
            const std::string opening = sentence.substr(0, sentence.find(' '));
            bool resolved = false;
            if (language_ == language::english && (opening == "It" || opening == "He" || opening == "She")) {
                const auto meant = antecedent_of(subject, opening);
                if (!meant.empty()) sentence = meant + sentence.substr(opening.size());
                resolved = !meant.empty();
            } else {
                subject = sentence;
            }
            std::vector<std::string> answers;
            bool completed = resolved;
            for (auto& form : questions_of(sentence)) {
                const auto end = sentence.rfind(form.answer);
                if (end != sentence.npos && end > 10 && end + form.answer.size() + 1 >= sentence.size() && !completed)
                    completions.push_back({kind::completion, sentence, form, at, end}), completed = true;
                const bool told = std::any_of(answers.begin(), answers.end(), [&](const std::string& a) {
                    return a == form.answer || form.answer.starts_with(a + " ");  // "three", "three cubes"
                });
                if (told) continue;
                answers.push_back(form.answer);
                facts.push_back({kind::fact, sentence, form, at, 0, resolved});
            }
            if (const auto gap = completed ? 0 : gap_of(sentence); gap > 10)
                completions.push_back({kind::completion,
                                       sentence,
                                       {{}, sentence.substr(gap, sentence.size() - gap - 1), "last-words"},
                                       at,
                                       gap});
        }
        if (!places_[at].section.empty()) sections.push_back({kind::section, {}, {}, at, 0});
    }

    /// The rules for questions are English.
    [[nodiscard]] std::vector<question_form> questions_of(const std::string& sentence) const {
        return language_ == language::english ? questions_from(sentence) : std::vector<question_form>{};
    }
    [[nodiscard]] candidate start(std::uint64_t n, const char* origin, const place& where) const {
        candidate c;
        c.number = n;
        c.origin = origin;
        c.context = where.text;
        c.provenance = {
            {"document", where.path}, {"span", {where.span.begin, where.span.end}}, {"chunk_sha256", where.digest}};
        return c;
    }
    /// Named topic: a question must make sense by itself.
    [[nodiscard]] std::string with_topic(const question_form& form, const place& where) const {
        const auto asked = content_set(form.question);
        if (!topic_.empty())
            return detail::subset(content_set(topic_), asked) ? form.question : about_topic(form, topic_);
        const std::string subject = without_numbering(where.section.empty() ? where.document : where.section);
        for (const auto& stem : content_set(subject))
            if (asked.contains(stem)) return form.question;
        return about_topic({form.question, form.answer, {}}, subject);
    }
    /// The first line up to its question mark.
    static std::string as_question(std::string text) {
        text = flat(text.substr(0, text.find('\n')));
        if (const auto mark = text.find('?'); mark != text.npos) text.resize(mark + 1);
        return text;
    }
    [[nodiscard]] static text::request open(text::messages examples, std::string prompt, std::string prefix,
                                            std::uint64_t pass, counter_rng rng) {
        text::request r;
        r.messages = std::move(examples);
        r.messages.push_back({"user", std::move(prompt)});
        r.assistant_prefix = std::move(prefix);
        r.max_tokens = 28;
        r.stop = {"\n", "?"};
        r.sampling.temperature = pass == 0 ? 0.0f : 0.8f;
        r.sampling.top_p = 0.95f;
        r.sampling.seed = rng.next64();
        return r;
    }
    /// Question words that suit an answer.
    [[nodiscard]] static std::vector<std::string> openings_for(const std::string& answer) {
        const auto words = detail::split_words(answer);
        if (words.empty()) return {"What"};
        if (detail::tells_time(words, 0, words.size())) return {"When", "On which"};
        if (detail::all_names(words, 0, words.size())) return {"What is the name of", "Who", "Which"};
        if (detail::one_of(words[0], detail::number_words)) return {"How many"};
        if (detail::one_of(words[0], detail::prepositions)) return {"Where"};
        return {"What", "Which"};
    }

    void from_fact(leaf_run& run, const item& it, std::uint64_t n, std::uint64_t pass, std::vector<candidate>& batch,
                   std::vector<text::request>& requests, std::vector<candidate>& drafts) const {
        const place& where = places_[it.a];
        candidate base = start(n, "document", where);
        base.group = "fact " + it.sentence + " " + it.form.answer;
        base.answer = it.form.answer;
        base.provenance["asks"] = it.sentence;
        if (pass == 0)
            for (const auto& form : questions_of(it.sentence)) {
                if (form.answer != it.form.answer) continue;
                candidate c = base;
                c.question = with_topic(form, where);
                c.sure = !it.resolved;
                c.provenance["rule"] = form.rule;
                batch.push_back(std::move(c));
            }
        for (const auto& opening : openings_for(it.form.answer)) {
            requests.push_back(open(
                ask_about_examples(run.leaf, no_seed, 4),
                prompts::ask_about::render(text::field<"text">(it.sentence), text::field<"answer">(it.form.answer)),
                opening, pass, run.stream(opening, n)));
            requests.back().stop = {"\n"};
            candidate c = base;
            c.provenance["prompt"] = "ask_about " + prompts::version_of<prompts::ask_about>();
            drafts.push_back(std::move(c));
        }
    }

    void from_seed(leaf_run& run, const item& it, std::uint64_t n, std::uint64_t pass, std::vector<candidate>& batch,
                   std::vector<text::request>& requests, std::vector<candidate>& drafts) const {
        const auto& seed = run.leaf.seeds[it.a];
        const auto& qa = seed.questions_and_answers[it.b];
        candidate base;
        base.number = n;
        base.origin = "variation";
        base.context = flat(seed.context);
        base.answer = qa.answer;
        base.group = "seed " + qa.question;
        base.provenance = {{"seed", {it.a, it.b}}, {"asks", qa.question}};
        if (pass == 0 && language_ != language::english && !few_words_in(language_).empty()) {
            candidate c = base;
            c.question = std::string(few_words_in(language_)) + qa.question;
            c.sure = c.plain = true;
            c.provenance["rule"] = "few-words";
            batch.push_back(std::move(c));
        }
        if (language_ != language::english) return;  // openings and examples of rephrasing are English
        if (pass == 0)
            for (const auto& form : other_forms(qa.question, topic_)) {
                candidate c = base;
                c.question = form.question;
                c.sure = true;
                c.plain = form.rule == "about" || form.rule == "few-words" || form.rule.starts_with("tell-");
                c.provenance["rule"] = form.rule;
                batch.push_back(std::move(c));
            }
        text::messages examples;
        for (const auto& [from, to] : prompts::rephrasings)
            add_turn(examples, prompts::rephrase::render(text::field<"question">(from)), std::string(to));
        for (const char* opening : {"Which", "What is the name of", "Tell me"}) {
            if (qa.question.starts_with(opening)) continue;
            if (qa.question.starts_with("How") && opening == std::string_view("Which")) continue;
            const auto answer = detail::split_words(qa.answer);
            if (opening == std::string_view("What is the name of") && !detail::all_names(answer, 0, answer.size()))
                continue;  // only a name has one
            requests.push_back(open(examples, prompts::rephrase::render(text::field<"question">(qa.question)), opening,
                                    pass, run.stream(opening, n)));
            requests.back().stop = {"\n"};
            candidate c = base;
            c.provenance["prompt"] = "rephrase " + prompts::version_of<prompts::rephrase>();
            drafts.push_back(std::move(c));
        }
    }

    [[nodiscard]] candidate completion(const item& it, std::uint64_t n) const {
        const place& where = places_[it.a];
        candidate c = start(n, "completion", where);
        std::string beginning = it.sentence.substr(0, it.b);
        while (!beginning.empty() && beginning.back() == ' ') beginning.pop_back();
        c.question = complete_in(language_, where.document, beginning);
        c.answer = it.form.answer;
        c.sure = true;
        c.provenance["prompt"] = "complete_sentence " + prompts::version_of<prompts::complete_sentence>();
        return c;
    }

    /// The section's first sentences, up to about eighty words.
    [[nodiscard]] candidate section(const item& it, std::uint64_t n) const {
        const place& where = places_[it.a];
        candidate c = start(n, "section", where);
        c.question = recall_in(language_, where.document, where.section);
        std::size_t words = 0;
        for (const auto& s : sentences_of(where.text)) {
            if (s.of(where.text).find('|') != std::string_view::npos) continue;
            words += loose_words(s.of(where.text)).size();
            if (words > 80 && !c.answer.empty()) break;
            c.answer.append(c.answer.empty() ? "" : " ").append(s.of(where.text));
        }
        c.sure = true;
        c.provenance["prompt"] = "recall_section " + prompts::version_of<prompts::recall_section>();
        return c;
    }

    const taxonomy::leaf& leaf_;
    language language_;
    std::string topic_;
    std::vector<place> places_;
    std::vector<item> items_;
};

/// Measures the knowledge judges on the seeds of all knowledge leaves.
inline void calibrate_knowledge(any_teacher& teacher, std::span<const taxonomy::leaf* const> leaves,
                                const pipeline_options& options, std::map<std::string, calibration>& judges) {
    std::vector<text::request> picks[2], words[2], clear[2];
    std::vector<text::score_request> gains[2];
    const std::size_t most = options.calibration_examples;
    for (std::size_t q = 0; q < 3; ++q)
        for (std::size_t l = 0; l < leaves.size(); ++l) {
            const auto& leaf = *leaves[l];
            for (std::size_t s = 0; s < leaf.seeds.size() && picks[0].size() < most; ++s) {
                const auto& own = leaf.seeds[s].questions_and_answers;
                if (q >= own.size()) continue;
                const auto& other = leaf.seeds[(s + 1) % leaf.seeds.size()];
                const std::string context = flat(leaf.seeds[s].context), elsewhere = flat(other.context);
                const auto& qa = own[q];
                picks[0].push_back(pick_request(leaf, s, context, qa.question, qa.answer));
                add_gain_requests(gains[0], leaf, s, context, qa.question, qa.answer);
                words[0].push_back(yes_or_no(prompts::is_grounded::render(text::field<"text">(context),
                                                                          text::field<"question">(qa.question),
                                                                          text::field<"answer">(qa.answer))));
                clear[0].push_back(yes_or_no(prompts::is_clear_question::render(text::field<"subject">(leaf.domain),
                                                                                text::field<"question">(qa.question))));
                for (const auto& rival : own)  // another question of the same text, with this answer
                    if (rival.answer != qa.answer) {
                        picks[1].push_back(pick_request(leaf, s, context, rival.question, qa.answer));
                        words[1].push_back(yes_or_no(prompts::is_grounded::render(
                            text::field<"text">(context), text::field<"question">(rival.question),
                            text::field<"answer">(qa.answer))));
                        break;
                    }
                if (elsewhere.find(qa.answer) == elsewhere.npos)
                    add_gain_requests(gains[1], leaf, s, elsewhere, qa.question, qa.answer);
                const auto& stranger = *leaves[(l + 1) % leaves.size()];
                if (&stranger != &leaf)
                    clear[1].push_back(yes_or_no(prompts::is_clear_question::render(
                        text::field<"subject">(leaf.domain),
                        text::field<"question">(stranger.seeds[0].questions_and_answers[0].question))));
            }
        }
    const auto chosen = [&](const char* name, std::vector<text::request>(&groups)[2]) {
        std::vector<double> scores[2];
        for (int g = 0; g < 2; ++g) {
            const auto answers = teacher.complete(groups[g]);
            for (std::size_t i = 0; i < answers.size(); ++i)
                scores[g].push_back(first_choice(groups[g][i], answers[i]));
        }
        judges[name] = calibrate(scores[0], scores[1], options.least_auc);
    };
    chosen("round_trip", picks);
    chosen("says_grounded", words);
    chosen("relevant", clear);
    if (!teacher.can_score()) return;
    std::vector<double> scores[2];
    for (int g = 0; g < 2; ++g) {
        const auto answers = teacher.score(gains[g]);
        for (std::size_t i = 0; i + 1 < answers.size(); i += 2)
            scores[g].push_back(answers[i].log_probability - answers[i + 1].log_probability);
    }
    judges["gain"] = calibrate(scores[0], scores[1], options.least_auc);
}

/// The checks of a knowledge sample, in order of cost.
[[nodiscard]] inline auto knowledge_pipeline() {
    return pipeline{question_form_check{}, outranked{},           round_trip{},     grounded{}, relevant{},
                    safety_check{},        contamination_check{}, near_duplicates{}};
}

}  // namespace lab::sdg

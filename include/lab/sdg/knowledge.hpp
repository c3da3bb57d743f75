// Knowledge leaves: questions about the leaf's documents, with answers that stand in them. By rules: sentences of the
// documents (rules and teacher write questions, the teacher's likelihood chooses), the seeds asked in other words,
// sentences to complete, sections to recall. By a capable teacher: its own questions and answers about each fact. The
// first pass uses every item once; later passes sample the teacher.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/sdg/citation.hpp"
#include "lab/sdg/knowledge_checks.hpp"
#include "lab/sdg/knowledge_plan.hpp"

namespace lab::sdg {

class knowledge_source {
public:
    /// Reads the documents; where the options or the teacher's ability ask for it, has the teacher write views and list
    /// facts, of at most two chunks for each sample wanted.
    /// @param count tokens of a text, for the chunks
    knowledge_source(leaf_run& run, token_counter count)
        : leaf_(run.leaf),
          wordings_(run.options.wordings),
          thorough_(is_thorough(run.options.knowledge)),
          reading_(run.leaf, run.options.chunks, run.options.wordings, thorough_, count) {
        const counter_rng order(run.options.seed, hash64("items", hash64(leaf_.id)));
        std::vector<std::size_t> chosen(reading_.places.size());
        for (std::size_t i = 0; i < chosen.size(); ++i) chosen[i] = i;
        counter_rng chunk_order = order;
        shuffle(chosen, chunk_order);
        if (const auto most = 2 * run.options.samples_per_leaf; chosen.size() > most) chosen.resize(most);
        views_ = write_views(run, reading_.places, chosen, reading_.language);
        items_ = teacher_writes(run) ? plan_for_teacher(run, reading_, views_, chosen)
                                     : plan_by_rules(run, reading_, views_, order);
    }

    [[nodiscard]] std::size_t items() const noexcept { return items_.size(); }
    [[nodiscard]] const std::string& topic() const noexcept { return reading_.topic; }
    [[nodiscard]] const fact_list& facts() const noexcept { return reading_.facts; }
    [[nodiscard]] const std::vector<view_text>& views() const noexcept { return views_; }

    /// The candidates of items [first, first + count), counted through all passes.
    [[nodiscard]] std::vector<candidate> propose(leaf_run& run, std::uint64_t first, std::size_t count) const {
        proposal p{run, {}, {}, {}};
        for (std::uint64_t n = first; n < first + count && !items_.empty(); ++n) {
            const auto& it = items_[n % items_.size()];
            const std::uint64_t pass = n / items_.size();
            if (it.what == item_kind::fact || it.what == item_kind::viewed) from_fact(p, it, n, pass);
            if (it.what == item_kind::seed) from_seed(p, it, n, pass);
            if (it.what == item_kind::completion && pass == 0) p.batch.push_back(completion(it, n));
            if (it.what == item_kind::section && pass == 0) p.batch.push_back(section(it, n));
            if (it.what == item_kind::written) from_teacher(p, it, n, pass);
        }
        if (p.requests.empty()) return std::move(p.batch);
        const auto answers = run.teacher.complete(p.requests);
        for (std::size_t k = 0; k < p.drafts.size(); ++k) {
            if (written_by_teacher(p.drafts[k]))
                take_pair(p.drafts[k], answers[k]);
            else
                p.drafts[k].question = detail::as_question(p.requests[k].assistant_prefix + answers[k].text);
            p.batch.push_back(std::move(p.drafts[k]));
        }
        return std::move(p.batch);
    }

private:
    struct proposal {
        leaf_run& run;
        std::vector<candidate> batch;
        std::vector<text::request> requests;
        std::vector<candidate> drafts;  // one for each request
    };

    [[nodiscard]] candidate start(std::uint64_t n, const char* origin, const chunk_place& where) const {
        candidate c;
        c.number = n;
        c.origin = origin;
        c.context = where.text;
        c.provenance = {{"document", where.path}, {"span", range_json(where.span)}, {"chunk_sha256", where.digest}};
        return c;
    }
    /// Named topic: a question must make sense by itself.
    [[nodiscard]] std::string with_topic(const question_form& form, const chunk_place& where) const {
        const auto asked = content_set(form.question);
        if (!topic().empty())
            return detail::subset(content_set(topic()), asked) ? form.question : about_topic(form, topic());
        const std::string subject = detail::without_numbering(where.section.empty() ? where.document : where.section);
        for (const auto& stem : content_set(subject))
            if (asked.contains(stem)) return form.question;
        return about_topic({form.question, form.answer, {}}, subject);
    }
    void from_fact(proposal& p, const knowledge_item& it, std::uint64_t n, std::uint64_t pass) const {
        const auto& where = reading_.places[it.a];
        candidate base = start(n, "document", where);
        base.group = "fact " + it.sentence + " " + it.form.answer;
        base.answer = it.form.answer;
        base.provenance["asks"] = it.sentence;
        if (it.seen != document_view::original) note_view(base, it);
        if (thorough_) cite(base, where, fact_of(it));
        if (pass == 0)
            for (const auto& form : reading_.questions_of(it.sentence)) {
                if (form.answer != it.form.answer) continue;
                candidate c = base;
                c.question = with_topic(form, where);
                c.sure = !it.resolved;
                c.provenance["rule"] = form.rule;
                p.batch.push_back(std::move(c));
            }
        for (const auto& opening : detail::openings_for(it.form.answer)) {
            p.requests.push_back(
                detail::open_question(ask_about_examples(wordings_, leaf_, no_seed, 4),
                                      wordings_.render<prompts::ask_about>(text::field<"text">(it.sentence),
                                                                           text::field<"answer">(it.form.answer)),
                                      opening, pass, p.run.stream(opening, n)));
            candidate c = base;
            c.provenance["prompt"] = wordings_.tag<prompts::ask_about>();
            p.drafts.push_back(std::move(c));
        }
    }

    void from_seed(proposal& p, const knowledge_item& it, std::uint64_t n, std::uint64_t pass) const {
        const auto& seed = leaf_.seeds[it.a];
        const auto& qa = seed.questions_and_answers[it.b];
        candidate base;
        base.number = n;
        base.origin = "variation";
        base.context = flat(seed.context);
        base.answer = qa.answer;
        base.group = "seed " + qa.question;
        base.provenance = {{"seed", {it.a, it.b}}, {"asks", qa.question}};
        if (const auto cited = thorough_ ? citation::find(seed.context, 0, qa.question, qa.answer) : std::nullopt)
            base.provenance["seed_context_span"] = range_json(cited->span);
        const auto& language = reading_.language;
        if (pass == 0 && language != "en" && wordings_.has<prompts::few_words>(language)) {
            candidate c = base;
            c.question = wordings_.render_in<prompts::few_words>(language, text::field<"question">(qa.question));
            c.sure = c.plain = true;
            c.provenance["rule"] = "few-words";
            p.batch.push_back(std::move(c));
        }
        if (language != "en") return;  // openings and examples of rephrasing are English
        if (pass == 0)
            for (const auto& form : other_forms(qa.question, topic())) {
                candidate c = base;
                c.question = form.question;
                c.sure = true;
                c.plain = form.rule == "about" || form.rule == "few-words" || form.rule.starts_with("tell-");
                c.provenance["rule"] = form.rule;
                p.batch.push_back(std::move(c));
            }
        text::messages examples;
        for (const auto& [from, to] : wordings_.pairs<prompts::rephrasings>())
            add_turn(examples, wordings_.render<prompts::rephrase>(text::field<"question">(from)), to);
        for (const char* opening : {"Which", "What is the name of", "Tell me"}) {
            if (qa.question.starts_with(opening)) continue;
            if (qa.question.starts_with("How") && opening == std::string_view("Which")) continue;
            const auto answer = detail::split_words(qa.answer);
            if (opening == std::string_view("What is the name of") && !detail::all_names(answer, 0, answer.size()))
                continue;  // only a name has one
            p.requests.push_back(detail::open_question(
                examples, wordings_.render<prompts::rephrase>(text::field<"question">(qa.question)), opening, pass,
                p.run.stream(opening, n)));
            candidate c = base;
            c.provenance["prompt"] = wordings_.tag<prompts::rephrase>();
            p.drafts.push_back(std::move(c));
        }
    }

    [[nodiscard]] candidate completion(const knowledge_item& it, std::uint64_t n) const {
        const auto& where = reading_.places[it.a];
        candidate c = start(n, "completion", where);
        std::string beginning = it.sentence.substr(0, it.b);
        while (!beginning.empty() && beginning.back() == ' ') beginning.pop_back();
        c.question = wordings_.render_in<prompts::complete_sentence>(
            reading_.language, text::field<"document">(where.document), text::field<"beginning">(beginning));
        c.answer = it.form.answer;
        c.sure = true;
        c.provenance["prompt"] = wordings_.tag<prompts::complete_sentence>(reading_.language);
        if (thorough_) cite(c, where, fact_of(it), true);
        return c;
    }

    /// The section's first sentences, up to about eighty words.
    [[nodiscard]] candidate section(const knowledge_item& it, std::uint64_t n) const {
        const auto& where = reading_.places[it.a];
        candidate c = start(n, "section", where);
        c.question = wordings_.render_in<prompts::recall_section>(
            reading_.language, text::field<"document">(where.document), text::field<"section">(where.section));
        std::size_t words = 0;
        text_range cited;
        for (const auto& s : sentences_of(where.text)) {
            if (s.of(where.text).find('|') != std::string_view::npos) continue;
            words += loose_words(s.of(where.text)).size();
            if (words > 80 && !c.answer.empty()) break;
            if (c.answer.empty()) cited.begin = s.begin;
            cited.end = s.end;
            c.answer.append(c.answer.empty() ? "" : " ").append(s.of(where.text));
        }
        c.sure = true;
        c.provenance["prompt"] = wordings_.tag<prompts::recall_section>(reading_.language);
        if (thorough_ && cited.size() > 0)
            c.provenance["answer_span"] = range_json(flat_copy(where.raw, where.span.begin).source_of(cited));
        return c;
    }

    void note_view(candidate& c, const knowledge_item& it) const {
        c.provenance["view"] = name_of(it.seen);
        for (const auto& v : views_)
            if (v.place == it.a && v.kind == it.seen) c.provenance["view_prompt"] = v.prompt;
    }

    /// The teacher writes about a fact, or about what a view says, in this pass's kind of question.
    void from_teacher(proposal& p, const knowledge_item& it, std::uint64_t n, std::uint64_t pass) const {
        const auto& where = reading_.places[it.a];
        const auto kinds = wordings_.lines<prompts::question_kinds>(reading_.language);
        const auto& kind = kinds[pass % kinds.size()];
        const bool original = it.seen == document_view::original;
        candidate c = start(n, "document", where);
        c.context = where.headings + where.text;  // a sentence may leave to its heading what it is about
        c.provenance["written_by"] = "teacher";
        c.provenance["kind"] = kind;
        c.provenance["prompt"] = original ? wordings_.tag<prompts::write_pair>(reading_.language)
                                          : wordings_.tag<prompts::write_any_pair>(reading_.language);
        if (!original) note_view(c, it);
        if (it.fact != no_fact) {
            c.group = "fact " + reading_.facts[it.fact].id;
            c.provenance["asks"] = it.sentence;
            c.provenance["fact"] = reading_.facts[it.fact].id;
        }
        const std::string shown = where.headings + (original ? taxonomy::trim(where.raw) : it.sentence);
        p.requests.push_back(pair_request(p.run, reading_.language, shown, original ? it.sentence : "", kind, pass,
                                          p.run.stream("pair", n)));
        p.drafts.push_back(std::move(c));
    }
    void take_pair(candidate& c, const text::completion& reply) const {
        const auto pair = pair_in(reply.text);
        if (!pair) {
            c.question = flat(reply.text);
            c.refuse("form", reply.finish == text::finish_reason::length
                                 ? "the reply does not come to an end"
                                 : "the reply is no JSON object with a question and an answer");
            return;
        }
        c.question = flat(pair->question);
        c.answer = pair->answer;
        const auto& where = reading_.places[items_[c.number % items_.size()].a];
        const fact* known = nullptr;
        const auto near = reading_.facts.of_chunk(where.path, where.span.begin);
        for (const std::size_t f : near)
            if (reading_.facts[f].id == c.provenance.value("fact", std::string())) known = &reading_.facts[f];
        if (known == nullptr)  // asked of a view: which fact came of it shows in the words
            if (const auto f = reading_.facts.about(c.question, c.answer, near); f < reading_.facts.size()) {
                known = &reading_.facts[f];
                c.group = "fact " + known->id;
            }
        cite(c, where, known);
    }
    [[nodiscard]] const fact* fact_of(const knowledge_item& it) const {
        return it.fact == no_fact ? nullptr : &reading_.facts[it.fact];
    }

    const taxonomy::leaf& leaf_;
    const prompts::pack& wordings_;
    bool thorough_;
    leaf_reading reading_;
    std::vector<view_text> views_;
    std::vector<knowledge_item> items_;
};

}  // namespace lab::sdg

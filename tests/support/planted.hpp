// A planted test of the knowledge checks: an invented world with known facts, documents that state them, and a teacher
// that follows the prompts and is wrong at a known rate in known ways. What each check refused is held against what was
// planted: precision and recall. Used by tests/sdg/planted_test.cpp and bench/planted.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/rng.hpp"
#include "lab/sdg/generate.hpp"
#include "lab/sdg/knowledge.hpp"
#include "lab/sdg/knowledge_calibration.hpp"

namespace lab::test {

struct world_fact {
    std::string subject;   // "the bridge of Tolmar"
    std::string question;  // "What is the bridge of Tolmar called?"
    std::string value;     // "Harn Arch"
    std::string sentence;  // "The bridge of Tolmar is called Harn Arch."
    std::string clause;    // "the bridge of Tolmar is called Harn Arch"
};

/// Towns that nobody knows, each with facts of its own. The same seed gives the same world.
struct planted_world {
    std::vector<std::string> towns;
    std::vector<std::vector<world_fact>> facts;  // of each town; no value stands twice

    planted_world(std::size_t towns_wanted, std::uint64_t seed) {
        counter_rng rng(seed, "world");
        std::vector<std::string> used;
        const auto name = [&](int syllables) {
            constexpr std::array<const char*, 16> heads{"Tol", "Bre",  "Har", "Wis", "Mor", "Kel", "Dun", "Lor",
                                                        "Sab", "Quen", "Ost", "Fen", "Gri", "Nal", "Pes", "Vir"};
            constexpr std::array<const char*, 12> tails{"mar", "nik", "dale", "vorn", "tis",  "lund",
                                                        "ba",  "rok", "shaw", "wen",  "gast", "zel"};
            for (int tries = 1;; ++tries) {
                if (tries % 50 == 0) ++syllables;  // all the short ones are taken
                std::string n = heads[rng.below(heads.size())];
                for (int s = 1; s < syllables; ++s) n += tails[rng.below(tails.size())];
                if (std::find(used.begin(), used.end(), n) == used.end()) return used.emplace_back(n);
            }
        };
        std::size_t year = 1400 + rng.below(20), count = 21 + rng.below(7);
        for (std::size_t t = 0; t < towns_wanted; ++t) {
            const std::string town = name(2);
            towns.push_back(town);
            auto& list = facts.emplace_back();
            const auto add = [&](const std::string& thing, const std::string& verb, const std::string& value,
                                 const std::string& question) {
                const std::string subject = thing + " of " + town;
                const std::string clause = subject + " " + verb + " " + value;
                std::string sentence = clause + ".";
                sentence[0] = 'T';
                list.push_back({subject, question, value, sentence, clause});
            };
            const auto of = [&](const char* thing) { return "the " + std::string(thing) + " of " + town; };
            add("the bridge", "is called", name(2) + " Arch", "What is " + of("bridge") + " called?");
            const std::string family = name(3), builder = name(2) + " " + family;
            add("the mill", "was built by", builder, "Who was " + of("mill") + " built by?");
            add("the market", "was founded in", std::to_string(year += 3), "When was " + of("market") + " founded?");
            add("the tower", "is made of", name(2) + " stone", "What is " + of("tower") + " made of?");
            add("the festival", "is dedicated to", "saint " + name(3), "Whom is " + of("festival") + " dedicated to?");
            add("the library", "owns", std::to_string(count += 3) + " maps",
                "How many maps does " + of("library") + " own?");
        }
    }

    /// Markdown: a section for each town.
    [[nodiscard]] std::string document(std::size_t first, std::size_t last) const {
        std::string text = "# The towns of the valley\n";
        for (std::size_t t = first; t < last; ++t) {
            text += "\n## " + towns[t] + "\n\n";
            for (const auto& f : facts[t]) text += f.sentence + "\n";
        }
        return text;
    }
    /// A leaf whose seeds are about the first five towns and whose document is about the others.
    [[nodiscard]] taxonomy::leaf leaf() const {
        taxonomy::leaf l;
        l.id = "knowledge->valley";
        l.kind = taxonomy::root::knowledge;
        l.domain = "The towns of the valley";
        l.document_outline = "Bridges, mills, markets, towers, festivals and libraries";
        for (std::size_t t = 0; t < 5; ++t) {
            std::string context;
            std::vector<taxonomy::qa> pairs;
            for (std::size_t k = 0; k < facts[t].size(); ++k) {
                context += facts[t][k].sentence + " ";
                if (k % 2 == 0) pairs.push_back({facts[t][k].question, facts[t][k].value});
            }
            l.seeds.push_back({context, std::move(pairs), {}});
        }
        l.documents = {{"towns.md", document(5, towns.size())}};
        return l;
    }
    /// What an examination asks about a fact: no sample may.
    [[nodiscard]] static std::string exam_question(const world_fact& f) {
        return "A visitor who has lost the way stands before " + f.subject + " and asks a baker: " + f.question;
    }
    [[nodiscard]] std::shared_ptr<const sdg::contamination_index> examination() const {
        sdg::evaluation_set set{"examination", {}};
        for (const auto& town : facts)
            for (const auto& f : town)
                set.items.push_back({std::to_string(set.items.size() + 1), exam_question(f), f.value});
        return std::make_shared<const sdg::contamination_index>(std::vector{std::move(set)});
    }
    [[nodiscard]] std::vector<const world_fact*> stated_in(std::string_view text) const {
        std::vector<const world_fact*> list;
        for (const auto& town : facts)
            for (const auto& f : town)
                if (text.find(f.sentence) != text.npos) list.push_back(&f);
        return list;
    }
    [[nodiscard]] bool names_a_town(std::string_view text) const {
        return std::any_of(towns.begin(), towns.end(), [&](const auto& t) { return text.find(t) != text.npos; });
    }
};

enum class fault : std::size_t { none, ungrounded, half_true, off_topic, unsafe, duplicate, leaked, pointing, broken };
inline constexpr std::array<std::string_view, 9> fault_names{
    "none",      "ungrounded answer",         "one claim ungrounded", "off the subject", "personal or unsafe",
    "duplicate", "an examination's question", "not self-contained",   "no JSON"};

/// Writes pairs as it is asked to, a given share of them spoilt; judges by reading the text, a given share of its
/// judgements turned around. What it does to a fact in a kind of question is a function of both and of its seed.
class planted_teacher {
public:
    planted_teacher(const planted_world& world, double fault_rate, double judge_error, std::uint64_t seed)
        : world_(&world), fault_rate_(fault_rate), judge_error_(judge_error), seed_(seed) {}

    std::vector<text::completion> complete(std::span<const text::request> requests) {
        std::vector<text::completion> answers;
        for (const auto& r : requests) answers.push_back(answer(r));
        return answers;
    }
    /// A word that was just said is likely, another is not.
    std::vector<text::score> score(std::span<const text::score_request> requests) {
        std::vector<text::score> scores;
        for (const auto& r : requests) {
            const auto said = sdg::loose_words(r.messages.back().content);
            text::score s;
            for (const auto& word : sdg::loose_words(r.answer)) {
                s.log_probability -= std::find(said.begin(), said.end(), word) == said.end() ? 5.0 : 0.25;
                ++s.tokens;
            }
            scores.push_back(s);
        }
        return scores;
    }
    [[nodiscard]] std::string identity() const { return "planted"; }

    /// What this teacher does wrong when it writes about this fact in this kind of question.
    [[nodiscard]] fault fault_of(std::string_view fact, std::string_view kind) const {
        counter_rng rng(seed_, hash64(kind, hash64(fact, hash64("fault"))));
        if (rng.uniform() >= fault_rate_) return fault::none;
        const auto what = static_cast<fault>(1 + rng.below(fault_names.size() - 1));
        // There is nothing to repeat in the first kind, nor where the first was spoilt.
        const bool first = kind == kinds().front();
        return what == fault::duplicate && (first || fault_of(fact, kinds().front()) != fault::none) ? fault::none
                                                                                                     : what;
    }
    [[nodiscard]] static const std::vector<std::string>& kinds() {
        static const auto list = sdg::prompts::pack().lines<sdg::prompts::question_kinds>();
        return list;
    }

private:
    using fields = std::map<std::string, std::string>;

    /// The fields of a rendered wording; nothing where the text is not one of it.
    template <class Wording>
    [[nodiscard]] static std::optional<fields> read(std::string_view text) {
        fields found;
        std::string field;
        std::size_t at = 0;
        bool fits = true;
        (void)text::detail::split_prompt(Wording::text, [&](text::detail::prompt_part part) {
            const auto piece = Wording::text.substr(part.begin, part.size);
            if (part.is_field) {
                field = piece;
                return;
            }
            const auto place = text.find(piece, at);
            fits = fits && place != text.npos && (!field.empty() || place == at);
            if (!fits) return;
            if (!field.empty()) found[field] = text.substr(at, place - at);
            field.clear();
            at = place + piece.size();
        });
        if (!fits || (field.empty() && at != text.size())) return std::nullopt;
        if (!field.empty()) found[field] = text.substr(at);
        return found;
    }

    [[nodiscard]] text::completion answer(const text::request& r) const {
        const auto& asked = r.messages.back().content;
        namespace p = sdg::prompts;
        if (const auto f = read<p::list_facts>(asked)) {
            formats::json list = formats::json::array();
            for (const auto* fact : world_->stated_in(f->at("text"))) list.push_back(fact->sentence);
            return said(formats::to_text(list));
        }
        if (const auto f = read<p::write_pair>(asked)) return write(f->at("text"), f->at("fact"), f->at("kind"));
        if (const auto f = read<p::is_grounded>(asked))
            return judged(r, is_true(f->at("text"), f->at("question"), f->at("answer")));
        if (const auto f = read<p::is_supported>(asked))
            return judged(r, is_true(f->at("text"), f->at("claim"), f->at("claim")));
        if (const auto f = read<p::is_relevant>(asked)) return judged(r, world_->names_a_town(f->at("question")));
        if (const auto f = read<p::is_self_contained>(asked)) {
            bool points = !world_->names_a_town(f->at("question"));
            for (const char* word : {"text", "passage", "above"})
                points = points || sdg::find_words(f->at("question"), word);
            return judged(r, !points);
        }
        if (!r.constraint.choices.empty()) {  // asked back: an answer to pick
            text::completion c = said(r.constraint.choices[0]);
            const std::string question = asked.substr(asked.rfind('\n') + 1);
            for (const auto& choice : r.constraint.choices) {
                const bool right = is_true(asked, question, choice);
                c.choice_probabilities.push_back(right ? 0.9 : 0.1 / static_cast<double>(r.constraint.choices.size()));
                if (right) c.text = choice;
            }
            return c;
        }
        for (const auto* fact : world_->stated_in(asked))
            if (asked.ends_with("\n" + fact->question)) return said(fact->value);
        return said("I do not know.");
    }

    /// Whether one of the text's facts is what `about` speaks of and `claim` says, and nothing else is said.
    [[nodiscard]] bool is_true(std::string_view text, std::string_view about, std::string_view claim) const {
        for (const auto* f : world_->stated_in(text)) {
            if (!sdg::find_words(about, f->subject.substr(4)) || !sdg::find_words(claim, f->value)) continue;
            bool more = false;
            for (const auto& town : world_->facts)
                for (const auto& other : town) more = more || (&other != f && sdg::find_words(claim, other.value));
            if (!more) return true;
        }
        return false;
    }
    [[nodiscard]] text::completion judged(const text::request& r, bool yes) const {
        counter_rng rng(seed_, hash64(r.messages.back().content, hash64("judge")));
        if (rng.uniform() < judge_error_) yes = !yes;
        const double p = yes ? 0.75 + 0.24 * rng.uniform() : 0.01 + 0.24 * rng.uniform();
        text::completion c = said(yes ? "YES" : "NO");
        c.choice_probabilities = {p, 1 - p};
        return c;
    }
    [[nodiscard]] static text::completion said(std::string text) {
        text::completion c;
        c.text = std::move(text);
        return c;
    }
    [[nodiscard]] static text::completion pair(const std::string& question, const std::string& answer) {
        return said(formats::to_text({{"question", question}, {"answer", answer}}));
    }

    [[nodiscard]] text::completion write(const std::string& text, const std::string& fact,
                                         const std::string& kind) const {
        const auto stated = world_->stated_in(text);
        const auto own = std::find_if(stated.begin(), stated.end(), [&](const auto* f) { return f->sentence == fact; });
        if (own == stated.end()) return said("{}");
        const world_fact& f = **own;
        const world_fact& other = *stated[(static_cast<std::size_t>(own - stated.begin()) + 1) % stated.size()];
        counter_rng rng(seed_, hash64(kind, hash64(fact, hash64("words"))));
        const auto [question, answer] = pair_about(f, other, kind);
        switch (fault_of(fact, kind)) {
            case fault::none:
                return pair(question, answer);
            case fault::ungrounded:
                return pair(question, world_->facts[rng.below(5)][rng.below(6)].value);
            case fault::half_true:
                return pair(question, f.sentence + " Furthermore " + f.subject + " burnt down in " +
                                          std::to_string(1800 + rng.below(90)) + ".");
            case fault::off_topic: {
                constexpr std::array<std::array<const char*, 2>, 6> stray{
                    {{"How many wheels does a tricycle have?", "three"},
                     {"Which bird lays the largest eggs?", "the ostrich"},
                     {"What do bees make out of nectar?", "honey"},
                     {"In which season do leaves fall from the trees?", "in autumn"},
                     {"Which planet has the widest rings?", "Saturn"},
                     {"What is the opposite of north?", "south"}}};
                const auto& s = stray[rng.below(stray.size())];
                return pair(s[0], s[1]);
            }
            case fault::unsafe: {
                constexpr std::array<const char*, 4> additions{
                    " Write to tom.hale@valley.example for more.", " Call +49 170 5550 1234 for more.",
                    " The keeper's card is 4111 1111 1111 1111.", " Some there would tell you how to make a bomb."};
                return pair(question, f.sentence + additions[rng.below(additions.size())]);
            }
            case fault::duplicate: {  // of what the same fact gets in the first kind
                const auto [first, value] = pair_about(f, other, kinds().front());
                return pair(first, value);
            }
            case fault::leaked: {  // word for word, or with words around it, or in other punctuation
                constexpr std::array<const char*, 3> ways{"", "Please tell me this. ", "-"};
                const std::string way = ways[rng.below(ways.size())];
                std::string q = planted_world::exam_question(f);
                if (way == "-")
                    q.replace(q.find(": "), 2, " - ");
                else
                    q = way + q;
                return pair(q, f.sentence);
            }
            case fault::pointing: {
                constexpr std::array<const char*, 4> ways{"According to the text, ", "In the passage, ",
                                                          "As mentioned above, ", ""};
                const std::string way = ways[rng.below(ways.size())];
                std::string q = f.question;
                if (way.empty())  // "What is it called?"
                    return pair(q.replace(q.find(f.subject), f.subject.size(), "it"), f.value);
                q[0] = static_cast<char>(q[0] - 'A' + 'a');
                return pair(way + q, f.value);
            }
            case fault::broken:
                break;
        }
        return said("Question: " + question + " Answer: " + answer);
    }

    /// A right pair, worded by kind.
    [[nodiscard]] static std::pair<std::string, std::string> pair_about(const world_fact& f, const world_fact& other,
                                                                        const std::string& kind) {
        const auto k = std::find(kinds().begin(), kinds().end(), kind) - kinds().begin();
        std::string inner = f.question;
        inner[0] = static_cast<char>(inner[0] - 'A' + 'a');
        switch (k) {
            case 1:
                return {"Please, " + inner, f.sentence};
            case 2:
                return {"Travellers see " + f.subject + ". " + f.question, f.sentence + " " + other.sentence};
            case 3:
                return {"Tell me what a guide says of " + f.subject + ".", f.sentence};
            case 4:
                return {"Why is " + f.subject + " worth a visit?", "Because " + f.clause + "."};
            default:
                return {f.question, f.value};
        }
    }

    const planted_world* world_;
    double fault_rate_, judge_error_;
    std::uint64_t seed_;
};

/// One check, alone, over everything that was proposed.
struct planted_check {
    std::string name;
    std::size_t planted = 0, found = 0;    // of the faults that are this check's to find
    std::size_t refused = 0, rightly = 0;  // of all; spoilt in whatever way

    [[nodiscard]] double recall() const { return share(found, planted); }
    [[nodiscard]] double precision() const { return share(rightly, refused); }
    [[nodiscard]] static double share(std::size_t a, std::size_t b) {
        return b == 0 ? 1.0 : static_cast<double>(a) / static_cast<double>(b);
    }
};
struct planted_table {
    std::vector<planted_check> checks;  // each alone; the last is the whole pipeline
    std::map<std::string, sdg::calibration> judges;
    std::size_t proposed = 0, spoilt = 0;
    std::size_t facts = 0, covered = 0;  // by a whole run
    std::size_t writable = 0;            // facts that the teacher writes at least one sound pair about

    [[nodiscard]] const planted_check& operator[](std::string_view name) const {
        return *std::find_if(checks.begin(), checks.end(), [&](const auto& c) { return c.name == name; });
    }
    [[nodiscard]] std::string to_text() const {
        std::string out = "| check | planted | found | recall | refused | precision |\n|---|---|---|---|---|---|\n";
        for (const auto& c : checks) {
            char line[160];
            std::snprintf(line, sizeof line, "| %s | %zu | %zu | %.3f | %zu | %.3f |\n", c.name.c_str(), c.planted,
                          c.found, c.recall(), c.refused, c.precision());
            out += line;
        }
        return out;
    }
};

/// Has the teacher write about every fact of a world in every kind of question, and holds each check against what was
/// planted.
[[nodiscard]] inline planted_table plant(std::size_t towns, double fault_rate, double judge_error, std::uint64_t seed) {
    const planted_world world(towns, seed);
    const planted_teacher script(world, fault_rate, judge_error, seed);
    sdg::any_teacher teacher{script};
    const std::vector<taxonomy::leaf> leaves{world.leaf()};
    const std::vector<const taxonomy::leaf*> knowledge{&leaves[0]};
    const auto count = [](std::string_view text) { return sdg::estimated_tokens(text); };
    const sdg::pipeline_options options{.seed = seed,
                                        .samples_per_leaf = 30 * towns,
                                        .budget = 10,
                                        .avoid = world.examination(),
                                        .knowledge = {.writer = sdg::question_writer::automatic}};

    planted_table table;
    sdg::calibrate_knowledge(teacher, knowledge, options, table.judges);
    sdg::memory seen(options.near_duplicate);
    sdg::leaf_run run{teacher, leaves[0], options, seen, table.judges};
    const sdg::knowledge_source source(run, count);
    std::vector<sdg::candidate> all;
    for (std::uint64_t n = 0; n < source.items() * planted_teacher::kinds().size(); n += 8)
        for (auto& c : source.propose(run, n, std::min<std::size_t>(8, source.items() * 5 - n)))
            all.push_back(std::move(c));
    std::vector<fault> faults;
    std::set<std::string> writable;
    for (const auto& c : all) {
        faults.push_back(script.fault_of(c.provenance.value("asks", ""), c.provenance.value("kind", "")));
        table.spoilt += faults.back() != fault::none;
        if (faults.back() == fault::none) writable.insert(c.provenance.value("asks", ""));
    }
    table.writable = writable.size();
    table.proposed = all.size();

    const auto measure = [&](const std::string& name, const std::vector<fault>& mine, bool others, const auto& step) {
        planted_check check{name};
        std::vector<sdg::candidate> batch;
        std::vector<fault> what;
        for (std::size_t i = 0; i < all.size(); ++i) {
            const bool is_mine = std::find(mine.begin(), mine.end(), faults[i]) != mine.end();
            if (!is_mine && !others && faults[i] != fault::none) continue;
            if (!all[i].alive() && name != "form") continue;
            batch.push_back(all[i]);
            what.push_back(faults[i]);
        }
        step(run, batch);
        for (std::size_t i = 0; i < batch.size(); ++i) {
            const bool is_mine = std::find(mine.begin(), mine.end(), what[i]) != mine.end();
            check.planted += is_mine;
            if (batch[i].alive()) continue;
            check.found += is_mine;
            ++check.refused;
            check.rightly += what[i] != fault::none;
        }
        table.checks.push_back(check);
    };
    const std::vector<fault> every{fault::ungrounded, fault::half_true, fault::off_topic, fault::unsafe,
                                   fault::duplicate,  fault::leaked,    fault::pointing,  fault::broken};
    measure("form", {fault::broken}, true, sdg::question_form_check{});
    measure("self_contained (rules)", {fault::pointing}, true, sdg::self_contained_by_rule{});
    measure("self_contained (judge)", {fault::pointing}, true, sdg::self_contained{});
    measure("informative", {fault::off_topic}, true, sdg::informative{});
    measure("grounded", {fault::ungrounded, fault::half_true, fault::off_topic}, true, sdg::grounded{});
    measure("relevant", {fault::off_topic}, true, sdg::relevant{});
    measure("safety", {fault::unsafe}, true, sdg::safety_check{});
    measure("contamination", {fault::leaked}, true, sdg::contamination_check{});
    measure("duplicate", {fault::duplicate}, false, sdg::near_duplicates{});  // spoilt ones would be kept to compare

    // All together, as a run has them.
    const auto whole = sdg::generate(leaves, teacher, options, count);
    planted_check check{"all together"};
    const auto& r = whole.leaves[0];
    for (const auto* list : {&r.kept, &r.refused})
        for (const auto& c : *list) {
            if (c.origin == "seed" || c.refused_by == "quota") continue;
            const auto what = script.fault_of(c.provenance.value("asks", ""), c.provenance.value("kind", ""));
            check.planted += what != fault::none;
            if (c.alive()) continue;
            check.found += what != fault::none;
            ++check.refused;
            check.rightly += what != fault::none;
        }
    table.checks.push_back(check);
    const auto covered = sdg::coverage::of(r.facts);
    table.facts = covered.facts;
    table.covered = covered.covered;
    return table;
}

}  // namespace lab::test

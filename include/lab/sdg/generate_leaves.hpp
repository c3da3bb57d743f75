// What generate.hpp declares, leaf by leaf; compiled once in lab::generator.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/sdg/contamination_check.hpp"
#include "lab/sdg/context_check.hpp"
#include "lab/sdg/evolve.hpp"
#include "lab/sdg/knowledge.hpp"
#include "lab/sdg/knowledge_calibration.hpp"
#include "lab/sdg/run_result.hpp"
#include "lab/sdg/self_instruct.hpp"
#include "lab/sdg/skills.hpp"
#include "lab/sdg/spending.hpp"

namespace lab::sdg {

namespace detail {

class whole_run {
public:
    whole_run(any_teacher& teacher, const pipeline_options& options, token_counter count, const run_observer& observer,
              any_teacher* judge, const leaf_sink& sink)
        : teacher_(teacher),
          options_(options),
          count_(count),
          observer_(observer),
          judge_(judge),
          sink_(sink),
          seen_(options.near_duplicate) {}

    run_result operator()(std::span<const taxonomy::leaf> leaves, const known_leaves& known) {
        result_.teacher = teacher_.identity();
        if (judge_ != nullptr) result_.judge = judge_->identity();
        report("measuring the judges");
        measure_judges(leaves);
        progress_.wanted = leaves.size() * options_.samples_per_leaf;
        progress_.leaves = leaves.size();
        progress_.done = &result_.summaries;
        if (options_.method == sampling_method::self_instruct) {
            draw_from_all(leaves);
            return finished();
        }
        const auto there_already = [&](const taxonomy::leaf& leaf) { return known ? known(leaf) : std::nullopt; };
        for (const auto& leaf : leaves)  // new samples must not repeat any of them
            if (const auto r = there_already(leaf)) remember(leaf, *r);
        for (const auto& leaf : leaves)
            if (auto r = there_already(leaf))
                take(leaf, std::move(*r));
            else
                work_on(leaf);
        return finished();
    }

private:
    run_result finished() {
        for (auto& note : teacher_.notes()) result_.notes.push_back(std::move(note));
        if (judge_ != nullptr)
            for (const auto& note : judge_->notes()) result_.notes.push_back("the judge: " + note);
        return std::move(result_);
    }

    [[nodiscard]] leaf_run run_of(const taxonomy::leaf& leaf) {
        return {teacher_, leaf, options_, seen_, result_.judges, judge_};
    }
    [[nodiscard]] any_teacher& judge() { return judge_ != nullptr ? *judge_ : teacher_; }

    /// Each on the seeds of all leaves that it will see. Where rules give all the answers, nobody needs a judge.
    void measure_judges(std::span<const taxonomy::leaf> leaves) {
        std::vector<const taxonomy::leaf*> knowledge, skills, all;
        for (const auto& leaf : leaves) {
            (leaf.kind == taxonomy::root::knowledge ? knowledge : skills).push_back(&leaf);
            all.push_back(&leaf);
        }
        if (options_.method != sampling_method::self_instruct)
            measure("knowledge", knowledge,
                    [&](auto& judges) { calibrate_knowledge(teacher_, knowledge, options_, judges); });
        measure("skills", skills, [&](auto& judges) {
            if (options_.method != sampling_method::lab ||
                std::any_of(skills.begin(), skills.end(), [](const auto* l) { return !rule_of(*l); }))
                skill_judges_.measure(teacher_, judge(), skills, options_, judges);
            if (options_.method == sampling_method::evolve) calibrate_evolution(judge(), skills, options_, judges);
        });
        if (options_.safety_judge)
            measure("safety", all, [&](auto& judges) { calibrate_safety(judge(), all, options_, judges); });
    }

    void report(const std::string& what) {
        progress_.leaf = what;
        if (observer_ && !observer_(progress_))
            throw interrupted("interrupted: run the same command again to go on where it stopped");
    }

    /// To be called while an exception is handled: the cause, where it ends the work on one leaf or judge; what ends
    /// the run (the teacher is gone, the disk is full, somebody asked to stop) is thrown on.
    std::string cause_of_failure() {
        try {
            throw;
        } catch (const request_refused& fault) {
            return fault.what();
        } catch (const budget_ended& fault) {
            return result_.stopped = fault.what();
        } catch (const format_error& fault) {
            return fault.what();
        } catch (const config_error& fault) {
            return fault.what();
        } catch (const shape_error& fault) {
            return fault.what();
        } catch (const error&) {
            throw;
        } catch (const std::bad_alloc&) {
            throw;
        } catch (const std::exception& fault) {
            return fault.what();
        }
    }

    /// A leaf whose seeds do not fit the teacher's context is left out, and the others are measured.
    template <class Calibrate>
    void measure(const char* what, std::vector<const taxonomy::leaf*>& leaves, Calibrate calibrate) {
        const auto give_up = [&] {
            result_.notes.push_back(std::string("the judges of ") + what +
                                    " could not be measured and are not obeyed: " + cause_of_failure());
            result_.judges_measured = false;
        };
        while (!leaves.empty() && result_.stopped.empty()) {
            auto judges = result_.judges;
            try {
                calibrate(judges);
                result_.judges = std::move(judges);
                return;
            } catch (const context_error& fault) {
                const auto whose = std::find_if(leaves.begin(), leaves.end(),
                                                [&](const taxonomy::leaf* l) { return l->id == fault.leaf; });
                if (whose == leaves.end()) return give_up();
                too_long_.emplace(*whose, fault.what());
                leaves.erase(whose);
            } catch (...) {
                return give_up();
            }
        }
    }

    void remember(const taxonomy::leaf& leaf, const leaf_result& known) {
        leaf_run run = run_of(leaf);
        leaf_result seeds;
        add_seeds(run, seeds);
        for (std::size_t i = known.seeds; i < known.kept.size(); ++i) seen_.add(leaf, known.kept[i]);
    }
    void take(const taxonomy::leaf& leaf, leaf_result known) {
        known.leaf = &leaf;
        progress_.kept += known.kept.size() - known.seeds;
        progress_.refused += known.refused.size();
        result_.add(std::move(known), options_.avoid.get(), sink_);
    }

    void work_on(const taxonomy::leaf& leaf) {
        leaf_result r;
        r.leaf = &leaf;
        r.wanted = options_.samples_per_leaf;
        leaf_run run = run_of(leaf);
        add_seeds(run, r);
        if (const auto at = too_long_.find(&leaf); at != too_long_.end()) {
            r.shortfall = at->second;
        } else if (!result_.stopped.empty()) {
            r.failure = "not begun: " + result_.stopped;
        } else {
            try {
                make_samples(run, r);
            } catch (const context_error& fault) {
                r.shortfall = too_long_.emplace(&leaf, fault.what()).first->second;
            } catch (...) {
                r.failure = cause_of_failure();
            }
        }
        for (const auto& [name, judge] : run.own) r.judges[name] = judge.to_json();
        if (!r.failure.empty()) r.shortfall = r.failure;
        result_.add(std::move(r), options_.avoid.get(), sink_);
        report(leaf.id);
    }
    void make_samples(leaf_run& run, leaf_result& r) {
        const auto& leaf = run.leaf;
        report(leaf.id);
        if (leaf.kind == taxonomy::root::knowledge) {
            const knowledge_source source(run, count_);  // it asks for views and facts
            fill(run, r, source, knowledge_pipeline(), 8, source.items() * options_.budget / 2);
            r.facts = source.facts().settle(leaf, r.kept, r.refused);
            r.views = source.views();
            if (!r.shortfall.empty() && !too_long_.contains(&leaf))
                r.shortfall += leaf.documents.empty()
                                   ? "; the leaf has no document to ask about: give its folder with --documents"
                                   : "; add documents in plain sentences, or seeds, or ask for fewer samples";
        } else {
            work_on_skill(run, r);
        }
    }

    void work_on_skill(leaf_run& run, leaf_result& r) {
        const std::size_t limit = r.wanted * options_.budget;
        if (auto rule = rule_of(run.leaf); rule && options_.method == sampling_method::lab) {
            frame_source source(run.leaf, std::move(*rule));
            return fill(run, r, source, skill_pipeline(), 16, limit);
        }
        skill_judges_.measure_leaf(run);
        if (run.trusted(std::string(pair_judge(run.leaf).name)) != nullptr) choose_persona(run);
        r.shortfall = obstacle_of(run);
        if (!r.shortfall.empty()) return;
        if (options_.method == sampling_method::evolve) {
            evolve_source source(run.leaf);
            fill(run, r, source, evolve_pipeline(), 16, limit);
        } else {
            exercise_source source(run.leaf);
            fill(run, r, source, skill_pipeline(), 16, limit);
        }
    }

    /// Each through its leaf's checks. What does not fit the teacher's context is refused.
    template <class Pipeline>
    void judge_drawn(const Pipeline& checks, std::span<const taxonomy::leaf> leaves,
                     std::vector<self_instruct_source::drawn>& drawn) {
        std::map<std::size_t, std::vector<std::size_t>> by_leaf;
        for (std::size_t i = 0; i < drawn.size(); ++i) by_leaf[drawn[i].leaf].push_back(i);
        for (const auto& [l, members] : by_leaf) {
            leaf_run run = run_of(leaves[l]);
            std::vector<candidate> batch;
            for (const std::size_t i : members) batch.push_back(std::move(drawn[i].sample));
            try {
                checks(run, batch);
            } catch (const context_error& fault) {
                for (auto& c : batch) c.refuse("context", fault.what());
            }
            for (std::size_t k = 0; k < members.size(); ++k) drawn[members[k]].sample = std::move(batch[k]);
        }
    }

    /// The baseline: no leaf has a quota of its own, the run as a whole has.
    void draw_from_all(std::span<const taxonomy::leaf> leaves) {
        std::vector<leaf_result> all(leaves.size());
        for (std::size_t l = 0; l < leaves.size(); ++l) {
            all[l].leaf = &leaves[l];
            all[l].wanted = options_.samples_per_leaf;
            leaf_run run = run_of(leaves[l]);
            add_seeds(run, all[l]);
        }
        draw_samples(leaves, all);
        for (auto& r : all) result_.add(std::move(r), options_.avoid.get(), sink_);
        report("all leaves at once");
    }
    void draw_samples(std::span<const taxonomy::leaf> leaves, std::vector<leaf_result>& all) {
        self_instruct_source source(leaves, options_.seed, options_.wordings);
        const auto pipeline = self_instruct_pipeline();
        const std::size_t wanted = progress_.wanted, limit = wanted * options_.budget, round = 16;
        std::string beyond;  // why drawing ended early: a request did not fit the teacher's context
        for (std::uint64_t next = 0; next < limit && progress_.kept < wanted && beyond.empty(); next += round) {
            std::vector<self_instruct_source::drawn> drawn;
            try {
                if (!result_.stopped.empty()) throw budget_ended(result_.stopped);
                drawn = source.propose(teacher_, next, round);
                judge_drawn(pipeline, leaves, drawn);
                source.observe(drawn);
            } catch (const context_error& fault) {
                beyond = fault.what();
            } catch (...) {  // the draws go over all leaves, and so does the failure
                const auto cause = cause_of_failure();
                for (auto& r : all) r.failure = r.shortfall = cause;
                return;
            }
            for (auto& d : drawn) {
                auto& r = all[d.leaf];
                ++r.proposed;
                if (progress_.kept == wanted)
                    d.sample.refuse("quota", "the quota of " + std::to_string(wanted) + " was met");
                ++(d.sample.alive() ? progress_.kept : progress_.refused);
                (d.sample.alive() ? r.kept : r.refused).push_back(std::move(d.sample));
            }
            report("all leaves at once");
        }
        for (auto& r : all)
            if (const std::size_t made = r.kept.size() - r.seeds; made < r.wanted)
                r.shortfall = "self-instruct draws from all leaves at once: " + std::to_string(r.proposed) +
                              " proposals were most like this one, " + std::to_string(made) + " of them were kept" +
                              (beyond.empty() ? "" : "; it ended early: " + beyond);
    }

    /// Seeds are known to new samples even where they are not to be samples themselves.
    void add_seeds(leaf_run& run, leaf_result& r) {
        for (std::size_t s = 0; s < run.leaf.seeds.size(); ++s) {
            const auto& seed = run.leaf.seeds[s];
            for (std::size_t q = 0; q < seed.questions_and_answers.size(); ++q) {
                candidate c;
                c.origin = "seed";
                c.question = seed.questions_and_answers[q].question;
                c.answer = seed.questions_and_answers[q].answer;
                c.context = run.leaf.kind == taxonomy::root::knowledge ? flat(seed.context) : seed.context;
                c.provenance = {{"seed", {s, q}}, {"line", seed.at.line}};
                run.seen.add(run.leaf, c);
                if (!options_.seeds_as_samples) continue;
                contamination_check::compare(run.leaf, options_, c);
                (c.alive() ? r.kept : r.refused).push_back(std::move(c));
            }
        }
        r.seeds = r.kept.size();
    }

    template <class Source, class Pipeline>
    void fill(leaf_run& run, leaf_result& r, Source&& source, const Pipeline& pipeline, std::size_t round,
              std::size_t limit) {
        std::vector<candidate> good;
        std::map<std::string, std::size_t> groups;  // kept of each
        std::uint64_t next = 0;
        const std::size_t before_kept = progress_.kept, before_refused = progress_.refused;
        while (next < limit && groups.size() < r.wanted && good.size() < 2 * r.wanted && r.failure.empty() &&
               !too_long_.contains(&run.leaf)) {
            std::vector<candidate> batch;
            try {
                batch = source.propose(run, next, round);
                pipeline(run, batch);
                if constexpr (requires { source.observe(run, batch); }) source.observe(run, batch);
            } catch (const context_error& fault) {  // this leaf ends here, the others go on
                too_long_.emplace(&run.leaf, fault.what());
                for (auto& c : batch)
                    if (c.alive()) c.refuse("context", fault.what());
            } catch (...) {  // what was good until then stays
                r.failure = cause_of_failure();
                for (auto& c : batch)
                    if (c.alive()) c.refuse("failure", r.failure);
            }
            next += round;
            r.proposed += batch.size();
            for (auto& c : batch) {
                if (c.alive()) {
                    if (c.group.empty())
                        c.group = "number " + std::to_string(c.number) + " " + std::to_string(good.size());
                    ++groups[c.group];
                    good.push_back(std::move(c));
                } else {
                    r.refused.push_back(std::move(c));
                }
            }
            progress_.kept = before_kept + std::min(good.size(), r.wanted);
            progress_.refused = before_refused + r.refused.size();
            progress_.now = &r;
            progress_.now_kept = std::min(good.size(), r.wanted);
            progress_.latest = good.empty() ? nullptr : &good.back();
            report(run.leaf.id);
        }
        progress_.now = nullptr;
        progress_.latest = nullptr;
        choose(r, good);
        progress_.kept = before_kept + r.kept.size() - r.seeds;
        progress_.refused = before_refused + r.refused.size();
        if (r.kept.size() - r.seeds >= r.wanted || !r.failure.empty()) return;
        if (const auto at = too_long_.find(&run.leaf); at != too_long_.end()) return void(r.shortfall = at->second);
        r.shortfall = limit == 0 ? "nothing could be made from this leaf"
                                 : "all " + std::to_string(next) + " items of the budget are used up (" +
                                       std::to_string(r.proposed) + " proposals)";
        std::string most;
        std::size_t count = 0;
        for (const auto& [check, n] : r.refused_by())
            if (n > count) most = check, count = n;
        if (count > 0) r.shortfall += "; most were refused by '" + most + "' (" + std::to_string(count) + ")";
    }

    /// The first of every group, then the second of every group, until the quota is met, new wordings before wrapped
    /// old ones; the order of proposal is kept.
    static void choose(leaf_result& r, std::vector<candidate>& good) {
        std::map<std::string, std::size_t> seen;
        std::vector<std::pair<std::size_t, std::size_t>> order;  // (turn in its group, index)
        for (const bool plain : {false, true})
            for (std::size_t i = 0; i < good.size(); ++i)
                if (good[i].plain == plain) order.emplace_back(seen[good[i].group]++, i);
        std::stable_sort(order.begin(), order.end());
        for (std::size_t k = r.wanted; k < order.size(); ++k)
            good[order[k].second].refuse("quota", "the quota of " + std::to_string(r.wanted) + " was met");
        for (auto& c : good) (c.alive() ? r.kept : r.refused).push_back(std::move(c));
    }

    any_teacher& teacher_;
    const pipeline_options& options_;
    token_counter count_;
    const run_observer& observer_;
    any_teacher* judge_;  // null: the teacher judges itself
    const leaf_sink& sink_;
    skill_judges skill_judges_;
    memory seen_;
    run_result result_;
    run_progress progress_;
    std::map<const taxonomy::leaf*, std::string> too_long_;  // beyond the context: why (looked up, never walked)
};

}  // namespace detail

}  // namespace lab::sdg

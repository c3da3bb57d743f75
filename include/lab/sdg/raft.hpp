// RAFT (Zhang et al., "RAFT: Adapting Language Model to Domain Specific RAG", arXiv 2403.10131): a question is asked
// with documents before it, of which one, the golden one, holds the answer with probability p, and the others distract.
// Distractors are the passages nearest to the question by BM25, or random ones as InstructLab takes them; documents
// come in random order, written as InstructLab writes them. Every choice hangs on seed and sample id alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/core/error.hpp"
#include "lab/core/rng.hpp"
#include "lab/core/sha256.hpp"
#include "lab/sdg/bm25.hpp"
#include "lab/sdg/rouge.hpp"
#include "lab/sdg/sentences.hpp"

namespace lab::sdg {

enum class distractor_choice : std::uint8_t { bm25, random };

struct raft_options {
    double golden = 0.8;        // probability that the golden document is among them; the paper's figures use 0.8
    std::size_t documents = 5;  // in all, the golden one included: the paper's one and four
    distractor_choice distractors = distractor_choice::bm25;
    bool clean = true;  // no distractor overlaps the golden document or holds the answer; false: InstructLab's rule,
                        // any other text
    bm25_options bm25{};
    std::uint64_t seed = 0;
};

/// A stretch of a document as a model gets to see it: heading path and text.
struct passage {
    std::string document;            // path; "" for a seed's context
    std::optional<text_range> span;  // bytes of the document
    std::string text;
    std::string sha256;  // of the bytes of the span, or of the text where there is none
};

struct raft_choice {
    std::vector<std::size_t> documents;  // indices into the pool, in the order shown; npos: the golden one
    std::optional<std::size_t> golden_at;
    static constexpr std::size_t golden_one = static_cast<std::size_t>(-1);
};

namespace mix_detail {
/// " word word ": a text holds another where its words do.
[[nodiscard]] inline std::string word_line(const std::vector<std::string>& words) {
    std::string out = " ";
    for (const auto& w : words) out.append(w).append(" ");
    return out;
}
}  // namespace mix_detail

/// The passages that distractors are taken from, each once.
class passage_pool {
public:
    passage_pool() = default;
    passage_pool(std::vector<passage> passages, const bm25_options& options) {
        std::map<std::string, bool> seen;
        std::vector<std::vector<std::string>> words;
        for (auto& p : passages) {
            if (!seen.try_emplace(p.text, true).second) continue;
            words.push_back(loose_words(p.text));
            lines_.push_back(mix_detail::word_line(words.back()));
            passages_.push_back(std::move(p));
        }
        index_ = bm25_index(words, options);
    }
    [[nodiscard]] const std::vector<passage>& passages() const noexcept { return passages_; }

    /// The documents for one question.
    [[nodiscard]] raft_choice choose(const passage& golden, std::string_view question, std::string_view answer,
                                     std::string_view id, const raft_options& options) const {
        counter_rng rng(options.seed, hash64(id, hash64("raft")));
        const bool with_golden = rng.uniform() < options.golden;
        const std::size_t wanted = options.documents - (with_golden ? 1 : 0);
        const judge may(*this, golden, answer, options.clean);
        std::vector<std::size_t> found;
        const auto take = [&](std::size_t i) {
            if (found.size() < wanted && may.distract(i)) found.push_back(i);
        };
        if (options.distractors == distractor_choice::bm25) {
            const auto words = loose_words(question);
            for (std::size_t most = 4 * wanted + 16;; most = passages_.size()) {
                found.clear();
                for (const auto i : index_.ranking(words, most)) take(i);
                if (found.size() == wanted || most >= passages_.size()) break;
            }
        } else {
            std::vector<std::size_t> order(passages_.size());
            for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
            for (std::size_t i = 0; i < order.size() && found.size() < wanted; ++i) {
                std::swap(order[i], order[i + rng.below(order.size() - i)]);
                take(order[i]);
            }
        }
        raft_choice out;
        out.documents = std::move(found);
        // Without a single distractor there is nothing to choose: the golden document stands alone, as in InstructLab.
        if (with_golden || out.documents.empty()) out.documents.push_back(raft_choice::golden_one);
        shuffle(out.documents, rng);
        for (std::size_t i = 0; i < out.documents.size(); ++i)
            if (out.documents[i] == raft_choice::golden_one) out.golden_at = i;
        return out;
    }
    [[nodiscard]] const passage& shown(const raft_choice& choice, std::size_t i, const passage& golden) const {
        return choice.documents[i] == raft_choice::golden_one ? golden : passages_[choice.documents[i]];
    }

private:
    /// Which passages may stand beside one golden document.
    class judge {
    public:
        judge(const passage_pool& pool, const passage& golden, std::string_view answer, bool clean)
            : pool_(pool), golden_(golden), clean_(clean) {
            if (!clean) return;
            own_ = mix_detail::word_line(loose_words(golden.text));
            said_ = mix_detail::word_line(loose_words(answer));
        }
        [[nodiscard]] bool distract(std::size_t i) const {
            const auto& p = pool_.passages_[i];
            if (p.text == golden_.text) return false;
            if (!clean_) return true;
            const auto& line = pool_.lines_[i];
            const bool overlaps = p.span && golden_.span && p.document == golden_.document &&
                                  p.span->begin < golden_.span->end && golden_.span->begin < p.span->end;
            const bool answers = said_.size() > 2 && line.find(said_) != std::string::npos;
            return !overlaps && !answers && line.find(own_) == std::string::npos &&
                   own_.find(line) == std::string::npos;
        }

    private:
        const passage_pool& pool_;
        const passage& golden_;
        bool clean_;
        std::string own_, said_;
    };

    std::vector<passage> passages_;
    std::vector<std::string> lines_;
    bm25_index index_;
};

/// @throws config_error
inline void check(const raft_options& options) {
    if (!(options.golden >= 0 && options.golden <= 1))
        throw config_error(explain("RAFT", "the golden document's probability must be from 0 to 1"));
    if (options.documents < 1 || options.documents > 1000)
        throw config_error(explain("RAFT", "the number of documents must be from 1 to 1000"));
}

/// The user's message: the documents, then the question.
[[nodiscard]] inline std::string raft_question(std::span<const std::string_view> documents, std::string_view question) {
    std::string out;
    for (const auto d : documents) out.append(out.empty() ? "" : "\n").append("Document:\n").append(d).append("\n\n");
    return out.append("\n\n").append(question);
}

}  // namespace lab::sdg

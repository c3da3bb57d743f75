// A real trained model: stories260K (llama2.c's format) tells its story greedily, word for word as its page says.
#include "lab/kernels/reference.hpp"

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "lab/core/file.hpp"
#include "lab/kernels/cpu.hpp"
#include "lab/nn/batch_builder.hpp"
#include "lab/nn/model.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(stories260k, *boost::unit_test::precondition(lab::test::needs("models/stories260K.bin")))

namespace {

using namespace lab;

/// Reads little-endian values from a test file in order.
class reader {
public:
    explicit reader(std::string bytes) : bytes_(std::move(bytes)) {}
    template <class T>
    T next() {
        T value;
        std::memcpy(&value, bytes_.data() + at_, sizeof value);
        at_ += sizeof value;
        return value;
    }
    std::string text(std::size_t length) {
        at_ += length;
        return bytes_.substr(at_ - length, length);
    }

private:
    std::string bytes_;
    std::size_t at_ = 0;
};

struct stories {
    nn::runtime_dims dims;
    nn::parameter_set<nn::arch::llama, float> parameters;

    stories() {
        reader file(read_file(test::shared_data("models/stories260K.bin")));
        const auto size = [&] { return file.next<std::int32_t>(); };
        dims.dim = static_cast<std::size_t>(size());
        dims.hidden = static_cast<std::size_t>(size());
        dims.layers = static_cast<std::size_t>(size());
        dims.heads = static_cast<std::size_t>(size());
        dims.kv_heads = static_cast<std::size_t>(size());
        const auto vocab = size();
        size();  // sequence length
        dims.tied = vocab > 0;
        dims.vocab = static_cast<std::size_t>(std::abs(vocab));
        dims.head_dim = dims.dim / dims.heads;
        parameters = nn::parameter_set<nn::arch::llama, float>(dims);
        auto& w = parameters.get();
        const auto fill = [&](auto& tensor) {
            for (float& x : tensor.flat()) x = file.next<float>();
        };
        const auto fill_all = [&](auto member) {
            for (auto& layer : w.layers) fill(member(layer));
        };
        fill(w.embedding);
        fill_all([](auto& l) -> auto& { return l.attention_norm; });
        fill_all([](auto& l) -> auto& { return l.q; });
        fill_all([](auto& l) -> auto& { return l.k; });
        fill_all([](auto& l) -> auto& { return l.v; });
        fill_all([](auto& l) -> auto& { return l.output; });
        fill_all([](auto& l) -> auto& { return l.ffn_norm; });
        fill_all([](auto& l) -> auto& { return l.ffn.gate; });
        fill_all([](auto& l) -> auto& { return l.ffn.down; });
        fill_all([](auto& l) -> auto& { return l.ffn.up; });
        fill(w.norm);
    }
};

std::vector<std::string> pieces(std::size_t vocab) {
    reader file(read_file(test::shared_data("models/tok512.bin")));
    file.next<std::int32_t>();
    std::vector<std::string> list;
    for (std::size_t i = 0; i < vocab; ++i) {
        file.next<float>();
        const auto length = file.next<std::int32_t>();
        std::string piece = file.text(static_cast<std::size_t>(length));
        if (piece.size() == 6 && piece.starts_with("<0x"))
            piece = std::string(1, static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16)));
        list.push_back(piece);
    }
    return list;
}

template <class Model>
std::string tell(Model& model) {
    const auto vocabulary = pieces(model.dims().vocab);
    auto cache = model.make_cache();
    const std::vector ids{cache.create()};
    std::string text;
    token last = 1;
    for (std::int32_t position = 0; position < 256; ++position) {
        nn::batch_builder batch;
        batch.add(std::span(&last, 1), position);
        const auto logits = model.forward(batch.get(), cache, ids, std::vector<std::uint32_t>{0}).flat();
        const token next = static_cast<token>(std::max_element(logits.begin(), logits.end()) - logits.begin());
        if (next == 1) break;
        const std::string& piece = vocabulary[static_cast<std::size_t>(next)];
        text += last == 1 && piece.starts_with(' ') ? piece.substr(1) : piece;
        last = next;
    }
    return text;
}

/// The story printed in the model's page, between the first run command and the closing fence.
std::string expected_story() {
    const std::string page = read_file(test::shared_data("models/stories260K.md"));
    const auto start = page.find('\n', page.find("-t 0.0")) + 1;
    return page.substr(start, page.find("\n```", start) - start);
}

}  // namespace

BOOST_AUTO_TEST_CASE(cpu_tells_the_story_of_its_page) {
    stories s;
    thread_pool pool(2);
    using backend = kernels::cpu<kernels::arch::native>;
    nn::model<nn::arch::llama, nn::runtime_dims, backend> model(
        s.dims, nn::as_model_weights<backend, nn::arch::llama, float>(s.dims, s.parameters.get()), backend(pool),
        false);
    BOOST_TEST(tell(model) == expected_story());
}

BOOST_AUTO_TEST_CASE(reference_tells_the_same) {
    stories s;
    using backend = kernels::reference<float>;
    nn::model<nn::arch::llama, nn::runtime_dims, backend> model(
        s.dims, nn::as_model_weights<backend, nn::arch::llama, float>(s.dims, s.parameters.get()), backend(), false);
    BOOST_TEST(tell(model) == expected_story());
}

BOOST_AUTO_TEST_SUITE_END()

// Damaged copies of a model give a typed error of one line or a model that runs; never a crash, another exception or a
// hang. Every copy goes the way of a chat: tokenizer, template, weights, forward pass, generation.
#include "lab/infer/chat.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <functional>
#include <iterator>

#include "formats/raw_files.hpp"
#include "lab/formats/gguf.hpp"
#include "lab/formats/json.hpp"
#include "lab/nn/batch_builder.hpp"
#include "lab/text/template_format.hpp"
#include "lab/tokenizer/load.hpp"
#include "model/small_model.hpp"

BOOST_AUTO_TEST_SUITE(damaged)

using namespace lab;

namespace {

void write(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

constexpr std::string_view plain_template = "{% for m in messages %}{{ m.role }}: {{ m.content }} {% endfor %}";

/// Uses the model at `path` as lab-chat does. @throws what the library throws.
void use(const std::filesystem::path& path, const std::shared_ptr<thread_pool>& pool) {
    auto tokens = tokenizer::load_tokenizer(path);
    const auto ids = tokens.encode("The ferry <|im_end|> er on 42\n\xFF", {.parse_special = true});
    static_cast<void>(tokens.decode(ids));
    auto model = nn::load_model(path, {.pool = pool});
    auto cache = model.make_cache();
    nn::batch_builder batch;
    batch.add(std::vector<token>{0, 1, 2});
    model.forward(batch.get(), cache, std::vector{cache.create()}, std::vector<std::uint32_t>{2});
    const bool talks = !tokens.chat_template().empty();
    text::any_chat_format format = talks ? text::checkpoint_format(tokens) : text::template_format(plain_template);
    infer::engine engine(std::move(model), std::move(tokens), {.cache_bytes = std::size_t{1} << 24});
    infer::chat chat(engine, std::move(format), sampling::make_chain({.temperature = 0.8f, .top_k = 8, .top_p = 0.9f}),
                     {.system = {}, .max_tokens = 3});
    chat.say("hi");
}

struct outcome {
    std::size_t worked = 0, refused = 0;

    template <class F>
    void count(const F& body, const std::string& what) {
        try {
            body();
            ++worked;
        } catch (const error& fault) {
            const std::string_view message = fault.what();
            if (message.size() < 10 || message.find('\n') != message.npos || message.size() > 2000)
                BOOST_ERROR(what << ": not one clear line: " << message.substr(0, 300));
            ++refused;
        } catch (const std::exception& fault) {
            BOOST_ERROR(what << ": untyped: " << fault.what());
        }
    }
    void require_both() const {
        BOOST_TEST(worked > 0u);
        BOOST_TEST(refused > 0u);
    }
};

constexpr std::uint64_t odd_numbers[]{0,          1,          2,          3,          7,          31,
                                      64,         255,        65535,      1u << 20,   0x3f800000, 0x7f800000,
                                      0x7fc00000, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32, 0x7fffffffffffffff,
                                      1ull << 63, ~0ull};
std::uint64_t odd_number(counter_rng& rng) { return odd_numbers[rng.below(std::size(odd_numbers))]; }

/// Overwrites the value of one metadata key, so that rare fields are hit as often as the long token lists.
std::string change_value(const std::string& good, counter_rng& rng) {
    const formats::gguf_file file(as_bytes(std::span(good.data(), good.size())), "good");
    const auto keys = file.metadata();
    const auto& value = keys[rng.below(keys.size())].value;
    std::string bad = good;
    const std::size_t width =
        value.type == formats::gguf_type::array ? 8 : std::min<std::size_t>(8, value.bytes.size());
    if (width == 0) return bad;
    const auto at = value.offset + rng.below(value.bytes.size() - width + 1);
    const std::uint64_t number = rng.below(2) == 0 ? odd_number(rng) : rng.next();
    std::memcpy(bad.data() + at, &number, width);
    return bad;
}

/// One node of a JSON value replaced, removed or put in twice.
formats::json change_json(formats::json root, counter_rng& rng) {
    formats::json* node = &root;
    formats::json* parent = nullptr;
    std::size_t index = 0;
    while (node->is_structured() && !node->empty() && (parent == nullptr || rng.below(4) != 0)) {
        parent = node;
        index = static_cast<std::size_t>(rng.below(node->size()));
        auto at = node->begin();
        std::advance(at, static_cast<std::ptrdiff_t>(index));
        node = &*at;
    }
    const auto replacement = [&]() -> formats::json {
        switch (rng.below(10)) {
            case 0:
                return nullptr;
            case 1:
                return odd_number(rng);
            case 2:
                return -static_cast<std::int64_t>(odd_number(rng) >> 1);
            case 3:
                return 0.5 * static_cast<double>(odd_number(rng));
            case 4:
                return "";
            case 5:
                return std::string(1 + rng.below(40), static_cast<char>('!' + static_cast<char>(rng.below(90))));
            case 6:
                return formats::json::array();
            case 7:
                return formats::json::object();
            case 8:
                return rng.below(2) == 0;
            default:
                return formats::json::array({*node, *node});
        }
    };
    if (parent != nullptr && rng.below(4) == 0) {
        auto at = parent->begin();
        std::advance(at, static_cast<std::ptrdiff_t>(index));
        parent->erase(at);
    } else {
        *node = replacement();
    }
    return root;
}

/// A model folder; one of its files is damaged at a time.
struct model_folder {
    test::temporary_folder root;
    std::vector<std::pair<std::string, std::string>> files;  // name, good content

    explicit model_folder(const std::string& family) {
        nn::save_safetensors(test::small_model(family, test::byte_vocabulary), root.path(),
                             {.tokenizer = test::byte_tokenizer_folder(), .max_shard_bytes = 40'000});
        write(root / "generation_config.json", R"({"bos_token_id": 1, "eos_token_id": [259, 258]})");
        write(root / "special_tokens_map.json", R"({"bos_token": {"content": "<|im_start|>"}, "pad_token": "a"})");
        for (const auto& entry : std::filesystem::directory_iterator(root.path()))
            files.emplace_back(entry.path().filename().string(), read_file(entry.path()));
        std::sort(files.begin(), files.end());
    }
    [[nodiscard]] static std::string damaged(const std::string& name, const std::string& good, counter_rng& rng) {
        std::size_t header = good.size();
        if (name.ends_with(".safetensors")) {
            std::uint64_t length = 0;
            std::memcpy(&length, good.data(), 8);
            header = 8 + static_cast<std::size_t>(length);
            if (rng.below(3) == 0) return test::mutate(good, header, rng);
            const std::string text = formats::to_text(
                change_json(formats::parse_json(std::string_view(good).substr(8, header - 8), name), rng));
            return test::raw<std::uint64_t>(text.size()) + text + good.substr(header);
        }
        if (rng.below(3) == 0 || !name.ends_with(".json")) return test::mutate(good, header, rng);
        return formats::to_text(change_json(formats::parse_json(good, name), rng));
    }
};

}  // namespace

BOOST_AUTO_TEST_CASE(gguf_headers) {
    const test::temporary_folder folder;
    const auto pool = std::make_shared<thread_pool>(1);
    const auto path = folder / "model.gguf";
    counter_rng rng(41);
    for (const auto& [family, tokens, vocabulary] :
         {std::tuple{"llama", test::byte_tokenizer_folder(), test::byte_vocabulary},
          {"mistral", test::fixture("tokenizer/spm_bytes.gguf"), std::size_t{620}},
          {"mixtral", test::fixture("tokenizer/byte_level_gpt-2.gguf"), std::size_t{482}}}) {
        nn::save_gguf(test::small_model(family, vocabulary), path, {.tokenizer = tokens});
        const std::string good = read_file(path);
        use(path, pool);
        const formats::gguf_file file(as_bytes(std::span(good.data(), good.size())), "good");
        const auto header = static_cast<std::size_t>(file.tensors().front().bytes.data() -
                                                     reinterpret_cast<const std::byte*>(good.data()));
        outcome seen;
        for (int i = 0; i < 400; ++i) {
            write(path, i % 2 == 0 ? change_value(good, rng) : test::mutate(good, header, rng));
            seen.count([&] { use(path, pool); }, std::string(family) + " " + std::to_string(i));
        }
        seen.require_both();
    }
}

BOOST_AUTO_TEST_CASE(gguf_truncations) {
    const test::temporary_folder folder;
    const auto pool = std::make_shared<thread_pool>(1);
    const auto path = folder / "model.gguf";
    nn::save_gguf(test::small_model("llama", test::byte_vocabulary), path,
                  {.tokenizer = test::byte_tokenizer_folder()});
    const std::string good = read_file(path);
    outcome seen;
    for (std::size_t size = 0; size < good.size(); size += 1 + size / 40) {
        write(path, good.substr(0, size));
        seen.count([&] { use(path, pool); }, "of " + std::to_string(size) + " bytes");
    }
    BOOST_TEST(seen.worked == 0u);
    BOOST_TEST(seen.refused > 100u);
}

BOOST_AUTO_TEST_CASE(safetensors_folders) {
    const auto pool = std::make_shared<thread_pool>(1);
    counter_rng rng(43);
    for (const auto* family : {"llama", "mixtral"}) {
        const model_folder good(family);
        use(good.root.path(), pool);
        BOOST_TEST(std::filesystem::exists(good.root / "model.safetensors.index.json"));
        outcome seen;
        for (int i = 0; i < 500; ++i) {
            const auto& [name, content] = good.files[rng.below(good.files.size())];
            write(good.root / name, model_folder::damaged(name, content, rng));
            seen.count([&] { use(good.root.path(), pool); },
                       std::string(family) + ": " + name + " " + std::to_string(i));
            write(good.root / name, content);
        }
        seen.require_both();
    }
}

BOOST_AUTO_TEST_CASE(chat_templates) {
    const std::string good = tokenizer::load_tokenizer(test::byte_tokenizer_folder()).chat_template();
    std::vector<std::string> all{good};
    for (const auto& entry : std::filesystem::directory_iterator(test::fixture("text/templates")))
        if (entry.is_regular_file()) all.push_back(read_file(entry.path()));
    std::sort(all.begin(), all.end());
    counter_rng rng(47);
    outcome seen;
    const text::messages conversation{{"system", "be brief"}, {"user", "hi"}, {"assistant", "ho"}, {"user", "so?"}};
    for (int i = 0; i < 600; ++i) {
        const std::string& one = all[rng.below(all.size())];
        const std::string bad = test::mutate(one, one.size(), rng);
        seen.count(
            [&] {
                const text::template_format format(bad, {.bos_token = "<s>", .eos_token = "</s>"});
                static_cast<void>(format.render(conversation, {.add_generation_prompt = true}));
            },
            "template " + std::to_string(i));
    }
    seen.require_both();
}

BOOST_AUTO_TEST_CASE(tokens_that_no_honest_file_has) {
    tokenizer::vocabulary v;
    v.kind = tokenizer::algorithm::sentencepiece_bpe;
    v.texts = {"a", "b", "ab"};
    v.kinds.assign(3, tokenizer::token_kind::normal);
    v.scores = {0.0f, 0.0f, std::numeric_limits<float>::quiet_NaN()};
    BOOST_CHECK_THROW(tokenizer::tokenizer{v}, format_error);
    v.scores[2] = -1.0f;
    BOOST_CHECK_NO_THROW(tokenizer::tokenizer{v});
    v.texts[2] = std::string(1 << 20, 'a');
    BOOST_CHECK_THROW(tokenizer::tokenizer{v}, format_error);
}

BOOST_AUTO_TEST_SUITE_END()

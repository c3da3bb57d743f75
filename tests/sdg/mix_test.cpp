// Mixing by a recipe: how often each sample is taken, order, duplicates, budgets, what strangers' files hold, and that
// a failure leaves the old result.
#include "lab/sdg/mix.hpp"

#include <fstream>
#include <set>

#include "lab/formats/jsonl.hpp"
#include "lab/replay/dataset.hpp"
#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(sdg_mix)

using namespace lab;
using formats::json;

namespace {

struct place {
    test::temporary_folder folder;

    void write(const std::string& name, const std::string& text) const {
        const auto file = folder / name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << text;
    }
    /// `n` samples with ids NAME-0, NAME-1, ...
    void samples(const std::string& name, std::size_t n, const std::string& leaf = "compositional_skills->s") const {
        std::string text;
        for (std::size_t i = 0; i < n; ++i)
            text += json{{"id", name + "-" + std::to_string(i)},
                         {"messages",
                          {{{"role", "user"}, {"content", "Question " + std::to_string(i)}},
                           {{"role", "assistant"}, {"content", "Answer of " + name}}}},
                         {"metadata", {{"leaf", leaf}}}}
                        .dump() +
                    "\n";
        write(name + ".jsonl", text);
    }
    sdg::mix_report mix(const std::string& recipe, sdg::mix_options o = {}) const {
        write("r.yaml", recipe);
        return sdg::mix(sdg::read_recipe(folder / "r.yaml"), folder / "out.jsonl", o);
    }
    std::string fault(const std::string& recipe, sdg::mix_options o = {}) const {
        try {
            (void)mix(recipe, std::move(o));
        } catch (const error& e) {
            return e.what();
        }
        return "none";
    }
    [[nodiscard]] std::vector<std::string> ids() const {
        std::vector<std::string> out;
        for (const auto& line : formats::read_jsonl(folder / "out.jsonl")) out.push_back(line["id"]);
        return out;
    }
    [[nodiscard]] std::string bytes() const { return read_file(folder / "out.jsonl"); }
};

std::string entry(const std::string& path, const std::string& size) {
    return "- path: " + path + "\n  sampling_size: " + size + "\n";
}
bool has(const std::vector<std::string>& warnings, const std::string& part) {
    return std::any_of(warnings.begin(), warnings.end(), [&](const auto& w) { return w.find(part) != w.npos; });
}

}  // namespace

BOOST_AUTO_TEST_CASE(shares_and_counts_without_replacement) {
    const place p;
    p.samples("a", 10);
    p.samples("sub/b", 10);
    p.samples("c", 4);
    const auto r =
        p.mix("datasets:\n" + entry("a.jsonl", "1.0") + entry("sub/b.jsonl", "0.35") + entry("c.jsonl", "9"));
    BOOST_TEST(r.samples == 10u + 3u + 9u);
    const auto ids = p.ids();
    for (std::size_t i = 0; i < 10; ++i) BOOST_TEST(ids[i] == "a-" + std::to_string(i));  // the file's order
    BOOST_TEST((std::set<std::string>(ids.begin() + 10, ids.begin() + 13).size()) == 3u);
    BOOST_TEST(std::is_sorted(ids.begin() + 10, ids.begin() + 13));
    std::map<std::string, std::size_t> times;
    for (std::size_t i = 13; i < ids.size(); ++i) ++times[ids[i]];
    BOOST_TEST(times.size() == 4u);  // every sample twice before any comes a third time
    for (const auto& [id, n] : times) BOOST_TEST((n == 2 || n == 3), id);
    BOOST_TEST((std::set<std::string>(ids.begin() + 13, ids.begin() + 17).size()) == 4u);
    BOOST_TEST(r.repeats == 5u);
    BOOST_TEST(has(r.warnings, "5 samples are repeats"));
    BOOST_TEST(r.parts[1].asked == 3u);
    BOOST_TEST(r.parts[2].taken == 9u);
    BOOST_TEST(r.sha256 == sha256_of_file(p.folder / "out.jsonl"));
    BOOST_TEST(r.bytes == p.bytes().size());
}

BOOST_AUTO_TEST_CASE(same_seed_same_bytes_another_seed_another_choice) {
    const place p;
    p.samples("a", 200);
    const auto recipe = "datasets:\n" + entry("a.jsonl", "0.5");
    (void)p.mix(recipe, {.seed = 3});
    const auto first = p.bytes();
    (void)p.mix(recipe, {.seed = 3});
    BOOST_TEST((p.bytes() == first));
    (void)p.mix(recipe, {.seed = 4});
    BOOST_TEST((p.bytes() != first));
    p.samples("b", 5);  // what else the recipe names does not change the choice
    (void)p.mix("datasets:\n" + entry("b.jsonl", "1.0") + entry("a.jsonl", "0.5"), {.seed = 3});
    BOOST_TEST(p.bytes().ends_with(first));
    (void)p.mix(recipe, {.seed = 3, .shuffle = true});
    auto ids = p.ids();
    BOOST_TEST(!std::is_sorted(ids.begin(), ids.end()));
    BOOST_TEST(ids.size() == 100u);
    const auto shuffled = p.bytes();
    (void)p.mix(recipe, {.seed = 3, .shuffle = true});
    BOOST_TEST((p.bytes() == shuffled));
}

BOOST_AUTO_TEST_CASE(a_dataset_named_twice_is_drawn_from_twice) {
    const place p;
    p.samples("a", 100);
    const auto recipe = "datasets:\n" + entry("a.jsonl", "10") + entry("a.jsonl", "10");
    const auto kept = p.mix(recipe, {.keep_duplicates = true});
    BOOST_TEST(kept.samples == 20u);
    const auto ids = p.ids();
    BOOST_TEST((std::set<std::string>(ids.begin(), ids.end()).size()) > 10u);
    const auto r = p.mix(recipe);
    BOOST_TEST(r.samples == 10u);
    BOOST_TEST(has(r.warnings, "a.jsonl holds no usable sample"));
    BOOST_TEST(has(r.warnings, "100 samples are left out: a duplicate"));
}

BOOST_AUTO_TEST_CASE(every_line_has_the_four_keys_and_lab_s_trainer_reads_them) {
    const place p;
    p.write(
        "old.jsonl",
        R"({"messages":[{"content":"S","role":"system"},{"content":"Q","role":"user"},{"content":"A","role":"assistant"}],"source":"p1","id":"x"})"
        "\n");
    p.write(
        "new.jsonl",
        R"({"id":"y","unmask":true,"metadata":"{\"leaf\":\"knowledge->k\"}","messages":[{"content":"D Q","role":"user"},{"content":"A","role":"assistant"}]})"
        "\n");
    const auto r = p.mix("datasets:\n" + entry("old.jsonl", "1.0") + entry("new.jsonl", "1.0") +
                         "metadata:\n  sys_prompt: Be brief.\n");
    BOOST_TEST(r.unmasked == 1u);
    for (const auto& line : formats::read_jsonl(p.folder / "out.jsonl")) {
        BOOST_TEST(line.size() == 4u);
        BOOST_TEST(line["id"].is_string());
        BOOST_TEST(line["metadata"].is_string());
        BOOST_TEST(line["unmask"].is_boolean());
        BOOST_TEST(line["messages"][0]["role"] == "system");
        BOOST_TEST(line["messages"][0]["content"] == "Be brief.");
    }
    const auto samples = replay::read_samples(p.folder / "out.jsonl");
    BOOST_REQUIRE(samples.size() == 2u);
    BOOST_TEST(!samples[0].unmask);
    BOOST_TEST(samples[1].unmask);
    BOOST_TEST((samples[1].kind == replay::sample_kind::knowledge));
    (void)p.mix("datasets:\n" + entry("old.jsonl", "1.0"), {.system_prompt = "Other."});
    BOOST_TEST(formats::read_jsonl(p.folder / "out.jsonl")[0]["messages"][0]["content"] == "Other.");
    (void)p.mix("datasets:\n" + entry("new.jsonl", "1.0"));
    BOOST_TEST(formats::read_jsonl(p.folder / "out.jsonl")[0]["messages"].size() == 2u);  // none is put in unasked
}

BOOST_AUTO_TEST_CASE(duplicates_over_datasets) {
    const place p;
    p.samples("a", 3);
    const auto one = [](const std::string& id, const std::string& answer) {
        return json{{"id", id},
                    {"messages",
                     {{{"role", "user"}, {"content", "Question 0"}}, {{"role", "assistant"}, {"content", answer}}}}}
                   .dump() +
               "\n";
    };
    p.write("b.jsonl", one("a-0", "Answer of a") + one("a-1", "another answer") + one("n", "new") + one("n", "new"));
    const auto r = p.mix("datasets:\n" + entry("a.jsonl", "1.0") + entry("b.jsonl", "1.0"));
    BOOST_TEST(r.samples == 5u);
    BOOST_TEST(r.parts[1].left_out.at("a duplicate").count == 2u);
    BOOST_TEST(r.parts[1].left_out.at("a duplicate").places[0] == "b.jsonl:1");
    BOOST_TEST(has(r.warnings, "1 samples have an id that other messages have too (b.jsonl:2 and a.jsonl:2)"));
    const auto ids = p.ids();
    BOOST_TEST((std::set<std::string>(ids.begin(), ids.end()).size()) == 5u);
    const auto lines = formats::read_jsonl(p.folder / "out.jsonl");
    BOOST_TEST(lines[3]["metadata"].get<std::string>().find("\"id_in_source\":\"a-1\"") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(placeholders_are_left_out_or_kept_as_instructlab_keeps_them) {
    const place p;  // the shape of InstructLab's example: ids and no messages
    std::string one, two;
    for (int i = 1; i <= 5; ++i) {
        one += R"({"id": "dataset_1_)" + std::to_string(i) +
               R"(", "messages": [], "metadata": {}})"
               "\n";
        two += R"({"id": "dataset_2_)" + std::to_string(i) +
               R"(", "messages": [], "metadata": {}})"
               "\n";
    }
    p.write("dataset_1.jsonl", one);
    p.write("dataset_2.jsonl", two);
    const auto concatenate =
        "datasets:\n" + entry("dataset_1.jsonl", "1.0") + entry("dataset_2.jsonl", "1.0") + "sys_prompt: Hi.\n";
    const auto weighted = "datasets:\n" + entry("dataset_1.jsonl", "2.0") + entry("dataset_2.jsonl", "0.2");
    BOOST_TEST(p.mix(concatenate, {.keep_empty = true}).samples == 10u);
    const auto r = p.mix(weighted, {.keep_empty = true});
    BOOST_TEST(r.parts[0].taken == 10u);
    BOOST_TEST(r.parts[1].taken == 1u);
    const auto left = p.mix(concatenate);
    BOOST_TEST(left.samples == 0u);
    BOOST_TEST(has(left.warnings, "5 samples are left out: no message to learn from (dataset_1.jsonl:1 first)"));
    BOOST_TEST(has(left.warnings, "the result holds no sample"));
    // An empty message is left out by both.
    p.write("e.jsonl", R"({"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":null}]})"
                       "\n");
    BOOST_TEST(p.mix("datasets:\n" + entry("e.jsonl", "1.0"), {.keep_empty = true}).samples == 0u);
}

BOOST_AUTO_TEST_CASE(budgets_take_a_sample_once_and_say_what_is_short) {
    const place p;
    p.samples("a", 50, "knowledge->a");
    p.samples("b", 50, "knowledge->b");
    p.samples("s", 20);
    const auto recipe = "datasets:\n" + entry("a.jsonl", "2.0") + entry("b.jsonl", "1.0") + entry("s.jsonl", "1.0");
    const auto whole = p.mix(recipe, {.budgets = {{"", "knowledge", 1'000'000}}});
    BOOST_TEST(whole.samples == 120u);
    BOOST_TEST(whole.budgets[0].samples == 100u);
    BOOST_TEST(whole.budgets[0].repeats == 50u);
    BOOST_TEST(has(whole.warnings, "is short by"));
    BOOST_TEST(has(whole.warnings, "100 samples with"));
    BOOST_TEST(has(whole.warnings, "50 repeats that a sampling_size asked for are left out"));
    const auto each = whole.budgets[0].tokens / 100;
    const auto some = p.mix(recipe + "budgets:\n  knowledge: " + std::to_string(each * 20) + "\n");
    BOOST_TEST(some.budgets[0].tokens <= each * 20);
    BOOST_TEST(some.budgets[0].samples >= 18u);
    BOOST_TEST(some.samples == some.budgets[0].samples + 20);  // skills are under no budget
    std::map<std::string, std::size_t> by_leaf;
    for (const auto& [name, n] : some.leaves) by_leaf[name.leaf] = n.samples;
    BOOST_TEST(std::max(by_leaf["knowledge->a"], by_leaf["knowledge->b"]) -
                   std::min(by_leaf["knowledge->a"], by_leaf["knowledge->b"]) <=
               1u);
    const auto ids = p.ids();
    BOOST_TEST((std::set<std::string>(ids.begin(), ids.end()).size()) == ids.size());
    BOOST_TEST(has(p.mix(recipe, {.budgets = {{"", "nowhere", 5}}}).warnings, "nowhere=5 finds no sample"));
}

BOOST_AUTO_TEST_CASE(files_of_strangers) {
    const place p;
    p.samples("a", 3);
    const auto all = [](const std::string& path) { return "datasets:\n" + entry(path, "1.0"); };
    const std::string good = R"({"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]})";
    p.write("broken.jsonl", good + "\n\n" + "{\"messages\": [\n" + good + "\n");
    BOOST_TEST(p.fault(all("broken.jsonl")).find("broken.jsonl:3:") == 0u, p.fault(all("broken.jsonl")));
    const auto skipped = p.mix(all("broken.jsonl"), {.skip_broken = true});
    BOOST_TEST(skipped.samples == 1u);  // the same id and messages twice: one
    BOOST_TEST(has(skipped.warnings, "a broken line (broken.jsonl:3"));
    BOOST_TEST(p.fault(all("none.jsonl")).find("r.yaml:2:3: there is no dataset 'none.jsonl'") != std::string::npos,
               p.fault(all("none.jsonl")));
    std::filesystem::create_directory(p.folder / "d");
    BOOST_TEST(p.fault(all("d")).find("is a folder") != std::string::npos);
    BOOST_TEST(p.fault(all("/dev/null")).find("is not a regular file") != std::string::npos);
    p.write("empty.jsonl", "");
    BOOST_TEST(p.fault(all("empty.jsonl")).find("hold no sample") != std::string::npos);
    BOOST_TEST(has(p.mix(all("empty.jsonl") + entry("a.jsonl", "1.0")).warnings, "empty.jsonl is empty"));
    BOOST_TEST(p.fault("datasets: []").find("names no dataset") != std::string::npos);
    p.write("zip.jsonl", "\x1f\x8b\x08 gzip");
    BOOST_TEST(p.fault(all("zip.jsonl")).find("gunzip") != std::string::npos);
    p.write("bad-utf8.jsonl", "{\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}\n");
    BOOST_TEST(p.fault(all("bad-utf8.jsonl")).find("bad-utf8.jsonl:1:") == 0u);
    p.write("array.json", "[" + good + "]");
    BOOST_TEST(p.fault(all("array.json")).find("array.json:1: is array, not an object") == 0u);
    p.write("windows.jsonl", "\xef\xbb\xbf" + good + "\r\n" + R"({"id":2,)" + good.substr(1) + "\r");
    BOOST_TEST(p.mix(all("windows.jsonl")).samples == 2u);
    BOOST_TEST(p.fault("datasets:\n" + entry("a.jsonl", "1000000")).find("more than 1000 times") != std::string::npos);
    BOOST_TEST(p.mix("datasets:\n" + entry("a.jsonl", "0")).samples == 0u);
    BOOST_TEST(p.fault(all("out.jsonl")).find("would replace the dataset") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(outside_the_recipe_s_folder) {
    const place p;
    p.samples("a", 3);
    p.write("sub/r.yaml", "datasets:\n" + entry("../a.jsonl", "1.0"));
    const auto r = sdg::mix(sdg::read_recipe(p.folder / "sub/r.yaml"), p.folder / "out.jsonl");
    BOOST_TEST(r.samples == 3u);
    BOOST_TEST(r.parts[0].outside);
    BOOST_TEST(has(r.warnings, "../a.jsonl lies outside the recipe's folder"));
    BOOST_CHECK_THROW(
        (void)sdg::mix(sdg::read_recipe(p.folder / "sub/r.yaml"), p.folder / "out.jsonl", {.only_inside = true}),
        config_error);
    std::filesystem::create_symlink("../a.jsonl", p.folder / "sub/link.jsonl");  // a link leads out as well
    p.write("sub/l.yaml", "datasets:\n" + entry("link.jsonl", "1.0"));
    BOOST_CHECK_THROW(
        (void)sdg::mix(sdg::read_recipe(p.folder / "sub/l.yaml"), p.folder / "out.jsonl", {.only_inside = true}),
        config_error);
    BOOST_TEST(p.mix("datasets:\n" + entry((p.folder / "a.jsonl").string(), "1.0"), {.only_inside = true}).samples ==
               3u);
}

BOOST_AUTO_TEST_CASE(a_failure_or_a_stop_leaves_the_old_result) {
    const place p;
    p.samples("a", 3000);
    (void)p.mix("datasets:\n" + entry("a.jsonl", "1.0"));
    const auto before = p.bytes();
    p.samples("b", 2000);
    std::ofstream(p.folder / "b.jsonl", std::ios::app) << "oops\n";
    BOOST_TEST(p.fault("datasets:\n" + entry("b.jsonl", "1.0")).find("b.jsonl:2001:") == 0u);
    BOOST_TEST((p.bytes() == before));
    const auto stopped = p.fault("datasets:\n" + entry("a.jsonl", "0.5"),
                                 {.observer = [](const sdg::mix_progress& at) { return !at.writing; }});
    BOOST_TEST(stopped.find("interrupted") == 0u, stopped);
    BOOST_TEST((p.bytes() == before));
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& e : std::filesystem::directory_iterator(p.folder.path())) ++files;
    BOOST_TEST(files == 4u);  // a, b, r.yaml, out: nothing half written
}

BOOST_AUTO_TEST_SUITE_END()

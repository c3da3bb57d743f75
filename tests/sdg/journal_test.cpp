#include "lab/sdg/journal.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <csignal>

#include "lab/sdg/journaled.hpp"

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(journals)

using namespace lab;

namespace {
text::request ask(std::string question, std::uint64_t seed = 0) {
    text::request r;
    r.messages = {{"user", std::move(question)}};
    r.sampling.seed = seed;
    return r;
}
struct echo {
    int calls = 0;
    int fail_after = 1 << 30;
    std::vector<text::completion> complete(std::span<const text::request>) {
        throw error("the journal must use complete_each");
    }
    void complete_each(std::span<const text::request> requests, sdg::completion_sink sink) {
        for (std::size_t i = 0; i < requests.size(); ++i) {
            if (calls == fail_after) throw io_error("the line is dead");
            ++calls;
            text::completion c;
            c.text = requests[i].messages[0].content + "!";
            c.log_probability = -0.1;
            c.choice_probabilities = {1.0 / 3.0, 2.0 / 3.0};
            sink(i, c);
        }
    }
    std::vector<text::score> score(std::span<const text::score_request> r) {
        calls += static_cast<int>(r.size());
        return std::vector<text::score>(r.size(), {-std::numeric_limits<double>::infinity(), 3});
    }
    std::string identity() const { return "echo"; }
};
}  // namespace

BOOST_AUTO_TEST_CASE(repeats_no_call_and_gives_the_same_answers) {
    const test::temporary_folder folder;
    echo e;
    std::vector<text::request> requests{ask("a"), ask("b"), ask("a"), ask("a", 1)};
    std::vector<text::completion> first;
    {
        sdg::journal log(folder / "j.jsonl");
        sdg::journaled teacher(e, log);
        first = teacher.complete(requests);
        BOOST_TEST(e.calls == 3);  // equal requests are asked once
        BOOST_TEST(first[0].text == "a!");
        const std::vector<text::score_request> s{{requests[0].messages, "x"}};
        BOOST_TEST(teacher.score(s)[0].log_probability == -1e30);
    }
    sdg::journal log(folder / "j.jsonl");
    sdg::journaled teacher(e, log);
    const auto again = teacher.complete(requests);
    BOOST_TEST(e.calls == 4);
    for (std::size_t i = 0; i < again.size(); ++i) {
        BOOST_TEST(again[i].text == first[i].text);
        BOOST_TEST(again[i].log_probability == first[i].log_probability);
        BOOST_TEST(again[i].choice_probabilities == first[i].choice_probabilities);
    }
}

BOOST_AUTO_TEST_CASE(keeps_what_came_before_a_failure) {
    const test::temporary_folder folder;
    echo e;
    e.fail_after = 2;
    const std::vector<text::request> requests{ask("a"), ask("b"), ask("c")};
    {
        sdg::journal log(folder / "j.jsonl");
        sdg::journaled teacher(e, log);
        BOOST_CHECK_THROW((void)teacher.complete(requests), io_error);
    }
    e.fail_after = 3;
    sdg::journal log(folder / "j.jsonl");
    BOOST_TEST(log.size() == 2u);
    sdg::journaled teacher(e, log);
    BOOST_TEST(teacher.complete(requests)[2].text == "c!");
    BOOST_TEST(e.calls == 3);
}

/// The lines that hold answers.
std::vector<std::string> answer_lines(const std::filesystem::path& path) {
    std::vector<std::string> lines;
    std::string text = read_file(path);
    for (std::size_t at = 0, end; (end = text.find('\n', at)) != text.npos; at = end + 1)
        if (text.find("\"key", at) < end) lines.push_back(text.substr(at, end + 1 - at));
    return lines;
}

BOOST_AUTO_TEST_CASE(a_torn_last_line_is_cut_off_wherever_it_was_torn) {
    const test::temporary_folder folder;
    echo e;
    const std::vector<text::request> requests{ask("a"), ask("b")};
    {
        sdg::journal log(folder / "j.jsonl");
        sdg::journaled teacher(e, log);
        (void)teacher.complete(requests);
    }
    const auto lines = answer_lines(folder / "j.jsonl");
    BOOST_TEST_REQUIRE(lines.size() == 2u);
    for (std::size_t cut = 0; cut < lines[1].size() + 20; ++cut) {  // killed anywhere in the second record
        auto text = lines[0] + lines[1].substr(0, std::min(cut, lines[1].size()));
        const bool whole = cut + 1 >= lines[1].size();  // only its end of line is missing, or nothing
        if (cut > lines[1].size()) text += std::string(cut - lines[1].size(), '\0');  // a block that was never written
        write_file_atomically(folder / "j.jsonl", text);
        sdg::journal log(folder / "j.jsonl");
        BOOST_TEST(log.size() == (whole ? 2u : 1u));
        BOOST_TEST(log.damaged() == 0u);
        sdg::journaled teacher(e, log);
        const auto before = e.calls;
        (void)teacher.complete(requests);
        BOOST_TEST(e.calls - before == (whole ? 0 : 1));
        BOOST_TEST(answer_lines(folder / "j.jsonl") == lines);
    }
}

BOOST_AUTO_TEST_CASE(damage_inside_is_counted_and_never_used) {
    const test::temporary_folder folder;
    echo e;
    const std::vector<text::request> requests{ask("a"), ask("b"), ask("c")};
    {
        sdg::journal log(folder / "j.jsonl");
        sdg::journaled teacher(e, log);
        (void)teacher.complete(requests);
    }
    const auto whole = read_file(folder / "j.jsonl");
    const auto first = answer_lines(folder / "j.jsonl")[0];
    for (std::size_t at = 0; at + 1 < first.size(); at += 3) {  // any byte of the first line
        auto text = whole;
        text[at] = static_cast<char>(text[at] ^ 1);
        write_file_atomically(folder / "j.jsonl", text);
        sdg::journal log(folder / "j.jsonl");
        BOOST_TEST(log.damaged() == 1u, "byte " << at);
        BOOST_TEST(log.size() == 2u, "byte " << at);
        sdg::journaled teacher(e, log);
        BOOST_TEST(teacher.complete(requests)[0].text == "a!");
        BOOST_TEST(teacher.asked() == 1u);
    }
    auto merged = whole;
    merged[first.size() - 1] = ' ';  // the end of a line lost: two answers gone
    write_file_atomically(folder / "j.jsonl", "no journal line\n{}\n" + merged);
    sdg::journal log(folder / "j.jsonl");
    BOOST_TEST(log.damaged() == 3u);
    BOOST_TEST(log.size() == 1u);
    // Changed under the open journal: found out when it is read.
    auto text = read_file(folder / "j.jsonl");
    const auto place = text.find("c!");
    std::FILE* file = std::fopen((folder / "j.jsonl").c_str(), "r+");
    std::fseek(file, static_cast<long>(place), SEEK_SET);
    std::fputc('C', file);
    std::fclose(file);
    sdg::journaled teacher(e, log);
    BOOST_TEST(teacher.complete(requests)[2].text == "c!");
    BOOST_TEST(teacher.asked() == 3u);
}

BOOST_AUTO_TEST_CASE(one_process_at_a_time) {
    const test::temporary_folder folder;
    auto first = std::make_unique<sdg::journal>(folder / "j.jsonl");
    BOOST_CHECK_EXCEPTION(sdg::journal(folder / "j.jsonl"), io_error, [](const io_error& fault) {
        return std::string(fault.what()).find("another process is writing it") != std::string::npos;
    });
    first->add(sdg::digest128::of("x"), {{"a", 1}});
    first.reset();
    BOOST_TEST(sdg::journal(folder / "j.jsonl").size() == 1u);
    BOOST_TEST(sdg::journal(folder / "j.jsonl", {.fresh = true}).size() == 0u);
    BOOST_CHECK_THROW(sdg::journal(folder.path()), io_error);
    BOOST_CHECK_THROW(sdg::journal("/dev/null"), io_error);
}

BOOST_AUTO_TEST_CASE(a_full_disk_loses_nothing_that_was_written) {
    const test::temporary_folder folder;
    std::vector<text::request> requests;
    for (int i = 0; i < 50; ++i) requests.push_back(ask(std::string("question ").append(std::to_string(i))));
    // In a process of its own whose files may not grow beyond a size: writes then fail in the middle of a line.
    for (const rlim_t size : {1000u, 1013u, 5000u}) {
        std::filesystem::remove(folder / "j.jsonl");
        const pid_t child = ::fork();
        if (child == 0) {
            std::signal(SIGXFSZ, SIG_IGN);
            const rlimit limit{size, size};
            ::setrlimit(RLIMIT_FSIZE, &limit);
            int code = 1;
            try {
                echo e;
                sdg::journal log(folder / "j.jsonl");
                sdg::journaled teacher(e, log);
                (void)teacher.complete(requests);
            } catch (const io_error& fault) {
                const std::string what = fault.what();
                code = what.find("cannot append") != what.npos && what.find("answers are kept; make room") != what.npos
                           ? 0
                           : 2;
            }
            ::_exit(code);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == 0));
        const auto text = read_file(folder / "j.jsonl");
        BOOST_TEST(text.ends_with('\n'));  // no half line was left
        echo e;
        sdg::journal log(folder / "j.jsonl");
        BOOST_TEST(log.damaged() == 0u);
        BOOST_TEST(log.size() > 1u);
        sdg::journaled teacher(e, log);
        (void)teacher.complete(requests);
        BOOST_TEST(teacher.remembered() == static_cast<std::size_t>(50 - e.calls));
        BOOST_TEST(answer_lines(folder / "j.jsonl").size() == 50u);
    }
}

BOOST_AUTO_TEST_CASE(answers_of_one_call_are_kept_together) {
    const test::temporary_folder folder;
    struct pairs : echo {
        void complete_each(std::span<const text::request> requests, sdg::completion_sink sink) {
            for (std::size_t i = 0; i < requests.size(); ++i, ++calls) {
                text::completion c;
                c.text = std::to_string(calls);
                c.more_to_come = i % 2 == 0 && i + 1 < requests.size() ? 1 : 0;
                sink(i, c);
            }
        }
    } teacher_of_pairs;
    std::vector<text::request> requests;
    for (std::uint64_t i = 0; i < 4; ++i) requests.push_back(ask("a", i));
    {
        sdg::journal log(folder / "j.jsonl");
        sdg::journaled teacher(teacher_of_pairs, log);
        (void)teacher.complete(requests);
    }
    const auto lines = answer_lines(folder / "j.jsonl");
    BOOST_TEST_REQUIRE(lines.size() == 2u);
    write_file_atomically(folder / "j.jsonl", lines[0] + lines[1].substr(0, lines[1].size() / 2));
    sdg::journal log(folder / "j.jsonl");
    BOOST_TEST(log.size() == 2u);
    sdg::journaled teacher(teacher_of_pairs, log);
    const auto answers = teacher.complete(requests);
    BOOST_TEST(answers[1].text == "1");
    BOOST_TEST(answers[2].text == "4");
    BOOST_TEST(teacher.asked() == 2u);
}

BOOST_AUTO_TEST_CASE(many_answers_take_little_memory) {
    const test::temporary_folder folder;
    constexpr std::size_t n = 20000;
    const auto key = [](std::size_t i) { return sdg::digest128::of(std::to_string(i)); };
    {
        sdg::journal log(folder / "j.jsonl");
        for (std::size_t i = 0; i < n; ++i) log.add(key(i), {{"text", std::to_string(i)}});
        log.add(key(7), {{"text", "again"}});
    }
    sdg::journal log(folder / "j.jsonl");
    BOOST_TEST(log.size() == n);
    BOOST_TEST(log.index_bytes() <= 64 * n);
    for (std::size_t i = 0; i < n; i += 37) BOOST_TEST((*log.find(key(i)))["text"] == std::to_string(i));
    BOOST_TEST((*log.find(key(7)))["text"] == "again");  // the later line counts
    BOOST_TEST(!log.find(key(n)).has_value());
}

BOOST_AUTO_TEST_CASE(who_answers_and_at_what_pace_is_remembered) {
    const test::temporary_folder folder;
    echo e;
    {
        sdg::journal log(folder / "j.jsonl");
        log.set_teacher("http://x", {{"identity", "echo"}});
        log.set_teacher("http://x", {{"identity", "echo"}});
        sdg::journaled teacher(e, log);
        const std::vector<text::request> requests{ask("a"), ask("b")};
        (void)teacher.complete(requests);
    }
    sdg::journal log(folder / "j.jsonl");
    BOOST_TEST(log.teacher("http://x")["identity"] == "echo");
    BOOST_TEST(log.teacher("http://y").is_null());
    BOOST_TEST(log.whole_pace().calls == 2u);
    BOOST_TEST(log.whole_pace().tokens > 0u);
    BOOST_TEST(log.whole_pace().seconds >= 0.0);
}

BOOST_AUTO_TEST_CASE(digests) {
    const auto d = sdg::digest128::of("abc");
    BOOST_TEST(d.hex() == "ba7816bf8f01cfea414140de5dae2223");
    BOOST_TEST((sdg::digest128::from_hex(d.hex()) == d));
    for (const char* bad : {"", "ba7816bf", "ba7816bf8f01cfea414140de5dae222x", "-a7816bf8f01cfea414140de5dae2223"})
        BOOST_TEST(!sdg::digest128::from_hex(bad).has_value(), bad);
}

BOOST_AUTO_TEST_CASE(an_answer_cut_inside_a_character_is_the_same_after_reading) {
    const test::temporary_folder folder;
    sdg::scripted_teacher cutter([](const text::request&) {
        text::completion c;
        c.text = "caf\xc3";
        return c;
    });
    const std::vector<text::request> requests{ask("a")};
    for (int run = 0; run < 2; ++run) {
        sdg::journal log(folder / "j.jsonl");
        sdg::journaled teacher(cutter, log);
        BOOST_TEST(teacher.complete(requests)[0].text == "caf?");
    }
}

BOOST_AUTO_TEST_SUITE_END()

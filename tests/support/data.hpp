// Where tests find their files. Real data beside the checkout is optional: a test that needs it says so and is skipped.
#pragma once

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <string>

namespace lab::test {

/// A fixture checked in under tests/data.
inline std::filesystem::path fixture(const std::string& name) { return std::filesystem::path(LAB_TEST_DATA) / name; }

/// A file of the optional real data; empty when it is absent.
inline std::filesystem::path shared_data(const std::string& name) {
    auto path = std::filesystem::path(LAB_SHARED_DATA) / name;
    return std::filesystem::exists(path) ? path : std::filesystem::path{};
}

/// For BOOST_AUTO_TEST_CASE(..., *boost::unit_test::precondition(needs("mmlu"))): skips, by name, where it is absent.
struct needs {
    explicit needs(std::string file) : name(std::move(file)) {}
    boost::test_tools::assertion_result operator()(boost::unit_test::test_unit_id) const {
        boost::test_tools::assertion_result present(!shared_data(name).empty());
        present.message() << "optional data '" << name << "' is absent";
        return present;
    }
    std::string name;
};

/// A folder of its own for each test, removed with its contents.
class temporary_folder {
public:
    temporary_folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "lab-test-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot create " + pattern);
        path_ = pattern;
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
    ~temporary_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace lab::test

#include "lab/formats/npy.hpp"

#include <array>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <string>

#include "support/data.hpp"

BOOST_AUTO_TEST_SUITE(npy)

// numpy.save of the same array gives these bytes (numpy 2.4).
BOOST_AUTO_TEST_CASE(writes_what_numpy_writes) {
    const lab::test::temporary_folder folder;
    const std::array<float, 6> values{1, 2, 3, 4, 5, 6};
    lab::formats::npy_writer file(folder / "m.npy", 2, 3);
    file.write(std::span(values).first(3));
    file.write(std::span(values).last(3));
    file.commit();
    std::string expected("\x93NUMPY\x01\x00\x76\x00", 10);
    expected += "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    expected.append(127 - expected.size(), ' ').append("\n");
    expected.append(reinterpret_cast<const char*>(values.data()), sizeof values);
    BOOST_TEST((lab::read_file(folder / "m.npy") == expected));
}

BOOST_AUTO_TEST_CASE(the_data_begins_on_a_multiple_of_64_whatever_the_shape) {
    const lab::test::temporary_folder folder;
    for (const std::size_t columns : {1u, 10u, 1000u, 1000000u}) {
        lab::formats::npy_writer file(folder / "m.npy", 0, columns);
        file.commit();
        BOOST_TEST(std::filesystem::file_size(folder / "m.npy") % 64 == 0u);
    }
}

BOOST_AUTO_TEST_CASE(a_wrong_number_of_values_is_refused_and_leaves_no_file) {
    const lab::test::temporary_folder folder;
    const std::array<float, 3> values{};
    {
        lab::formats::npy_writer file(folder / "m.npy", 1, 2);
        BOOST_CHECK_THROW(file.write(values), lab::shape_error);
        file.write(std::span(values).first(1));
        BOOST_CHECK_THROW(file.commit(), lab::shape_error);
    }
    BOOST_TEST(std::filesystem::is_empty(folder.path()));
}

BOOST_AUTO_TEST_SUITE_END()

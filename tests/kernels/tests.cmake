# The same tests for each instruction set that the kernels are written for, and one that compares their bytes. The
# kernels are compiled once for each; what drives them is not timed, so it is hardly optimised.
file(GLOB kernel_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*_test.cpp)

function(lab_compile_kernels name)  # then what they are compiled with
  add_library(kernels_${name} OBJECT kernels/cpu.cpp)
  target_link_libraries(kernels_${name} PRIVATE lab::lab lab::dev)
  target_compile_options(kernels_${name} PRIVATE -ffp-contract=off ${ARGN})
endfunction()

function(lab_kernels_isa name)  # the same
  lab_compile_kernels(${name} ${ARGN})
  add_executable(test_kernels_${name} support/main.cpp ${kernel_tests})
  set_target_properties(test_kernels_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)
  target_compile_options(test_kernels_${name} PRIVATE -ffp-contract=off ${ARGN} $<$<CONFIG:Release>:-Og>)
  target_include_directories(test_kernels_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(test_kernels_${name} PRIVATE lab::lab lab::dev kernels_${name} Boost::unit_test_framework)
  target_compile_definitions(test_kernels_${name} PRIVATE BOOST_TEST_DYN_LINK)
endfunction()

lab_compile_kernels(native)
target_link_libraries(kernels_native PRIVATE lab::native)
target_link_libraries(test_kernels PRIVATE kernels_native)

lab_kernels_isa(scalar)
add_test(NAME kernels_scalar COMMAND test_kernels_scalar)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  include(CheckCXXSourceCompiles)
  set(CMAKE_REQUIRED_FLAGS -march=native)
  check_cxx_source_compiles("#if !defined(__AVX2__) || defined(__AVX512F__)
    #error
    #endif
    int main() {}" LAB_NATIVE_IS_AVX2)
  unset(CMAKE_REQUIRED_FLAGS)
  set(own avx2 isa)
  if(LAB_NATIVE AND LAB_NATIVE_IS_AVX2)  # test_kernels are these
    set(own isa)
  else()
    lab_kernels_isa(avx2 -march=x86-64-v3)
  endif()
  add_executable(test_kernels_isa support/main.cpp kernels/isa/bytes_test.cpp)
  target_include_directories(test_kernels_isa PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(test_kernels_isa PRIVATE lab::lab lab::dev Boost::unit_test_framework)
  target_compile_definitions(test_kernels_isa PRIVATE BOOST_TEST_DYN_LINK)
  set(flags_avx512 -march=x86-64-v4)
  set(flags_vnni -march=x86-64-v4 -mavx512vnni)
  set(flags_avx2 -march=x86-64-v3)
  set(flags_fma -mfma)
  foreach(isa vnni avx512 avx2 fma)  # all that have fused multiply-add
    add_library(kernels_outputs_${isa} OBJECT kernels/isa/outputs.cpp)
    target_include_directories(kernels_outputs_${isa} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    target_link_libraries(kernels_outputs_${isa} PRIVATE lab::lab lab::dev)
    target_compile_options(kernels_outputs_${isa} PRIVATE -ffp-contract=off ${flags_${isa}} $<$<CONFIG:Release>:-O1>)
    target_compile_definitions(kernels_outputs_${isa} PRIVATE LAB_TEST_OUTPUTS=outputs_${isa} BOOST_TEST_DYN_LINK)
    target_link_libraries(test_kernels_isa PRIVATE kernels_outputs_${isa})
  endforeach()
  # Processors that lack the instructions skip the test.
  foreach(test ${own})
    set(needs avx2 fma f16c)
    if(test STREQUAL "isa")
      list(APPEND needs avx512vl avx512bw avx512dq)
    endif()
    list(TRANSFORM needs PREPEND "grep -qw " OUTPUT_VARIABLE needs)
    list(TRANSFORM needs APPEND " /proc/cpuinfo")
    list(JOIN needs " && " needs)
    add_test(NAME kernels_${test} COMMAND sh -c "{ ${needs}; } || exit 77; exec $<TARGET_FILE:test_kernels_${test}>")
    set_tests_properties(kernels_${test} PROPERTIES SKIP_RETURN_CODE 77)
  endforeach()
endif()

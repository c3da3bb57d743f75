# lab-bench as a process, on models of a few kilobytes.
if(TARGET lab-bench)
  lab_test_executable(test_bench bench/bench_app_test.cpp)
  target_compile_definitions(test_bench PRIVATE LAB_BENCH_APP="$<TARGET_FILE:lab-bench>")
  add_dependencies(test_bench lab-bench)
  add_test(NAME bench COMMAND test_bench)
  set_tests_properties(bench PROPERTIES TIMEOUT 60)
endif()

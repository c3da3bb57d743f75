# lab-run as a user runs it: the whole loop on a model small enough for a test, which is its own teacher.
if(TARGET lab-run)
  lab_test_executable(test_run_app run/apps/app_test.cpp)
  target_compile_definitions(test_run_app PRIVATE LAB_RUN_APP="$<TARGET_FILE:lab-run>")
  add_dependencies(test_run_app lab-run)
  add_test(NAME run_app COMMAND test_run_app)
endif()

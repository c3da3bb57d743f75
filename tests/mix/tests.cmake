# lab-generate mix as a user runs it.
if(TARGET lab-generate)
  lab_test_executable(test_mix_app mix/app_test.cpp)
  target_compile_definitions(test_mix_app PRIVATE LAB_GENERATE_APP="$<TARGET_FILE:lab-generate>")
  add_dependencies(test_mix_app lab-generate)
  add_test(NAME mix_app COMMAND test_mix_app)
endif()

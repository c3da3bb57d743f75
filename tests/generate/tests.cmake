# lab-generate as a user runs it: with a tiny model in its process, and behind servers that fail.
if(TARGET lab-generate)
  lab_test_executable(test_generate_app generate/app_test.cpp)
  target_link_libraries(test_generate_app PRIVATE lab::generator)
  target_compile_definitions(test_generate_app PRIVATE LAB_GENERATE_APP="$<TARGET_FILE:lab-generate>")
  add_dependencies(test_generate_app lab-generate)
  add_test(NAME generate_app COMMAND test_generate_app)
endif()

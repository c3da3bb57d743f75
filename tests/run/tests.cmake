if(TARGET test_run)
  target_link_libraries(test_run PRIVATE lab::compiled)
endif()
# lab-run as a user runs it: the whole loop on a model small enough for a test, which is its own teacher.
if(TARGET lab-run)
  add_executable(test_run_app support/main.cpp run/apps/app_test.cpp)
  target_include_directories(test_run_app PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(test_run_app PRIVATE lab::lab lab::native lab::dev lab::compiled Boost::unit_test_framework)
  target_compile_definitions(test_run_app PRIVATE
    BOOST_TEST_DYN_LINK
    LAB_TEST_DATA="${CMAKE_CURRENT_SOURCE_DIR}/data"
    LAB_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    LAB_SHARED_DATA="${PROJECT_SOURCE_DIR}/../shared/data"
    LAB_RUN_APP="$<TARGET_FILE:lab-run>")
  add_dependencies(test_run_app lab-run)
  add_test(NAME run_app COMMAND test_run_app)
endif()

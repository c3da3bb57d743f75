# lab-train and lab-eval as a user runs them, on a model small enough for a test.
if(TARGET lab-train AND TARGET lab-eval)
  add_executable(test_train_apps support/main.cpp train/apps/app_test.cpp)
  target_include_directories(test_train_apps PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(test_train_apps PRIVATE lab::lab lab::native lab::dev lab::compiled Boost::unit_test_framework)
  target_compile_definitions(test_train_apps PRIVATE
    BOOST_TEST_DYN_LINK
    LAB_TEST_DATA="${CMAKE_CURRENT_SOURCE_DIR}/data"
    LAB_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    LAB_SHARED_DATA="${PROJECT_SOURCE_DIR}/../shared/data"
    LAB_TRAIN_APP="$<TARGET_FILE:lab-train>"
    LAB_EVAL_APP="$<TARGET_FILE:lab-eval>")
  add_dependencies(test_train_apps lab-train lab-eval)
  add_test(NAME train_apps COMMAND test_train_apps)
endif()

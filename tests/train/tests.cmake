# lab-train and lab-eval as a user runs them, on a model small enough for a test.
if(TARGET lab-train AND TARGET lab-eval)
  lab_test_executable(test_train_apps train/apps/app_test.cpp)
  target_compile_definitions(test_train_apps PRIVATE
    LAB_TRAIN_APP="$<TARGET_FILE:lab-train>"
    LAB_EVAL_APP="$<TARGET_FILE:lab-eval>")
  add_dependencies(test_train_apps lab-train lab-eval)
  add_test(NAME train_apps COMMAND test_train_apps)
endif()

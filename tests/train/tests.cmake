# lab-train and lab-eval as a user runs them, on a model small enough for a test.
if(TARGET lab-train AND TARGET lab-eval)
  lab_test_executable(test_train_apps train/apps/app_test.cpp train/apps/ends_test.cpp train/apps/plain_text_test.cpp)
  target_compile_definitions(test_train_apps PRIVATE
    LAB_TRAIN_APP="$<TARGET_FILE:lab-train>"
    LAB_EVAL_APP="$<TARGET_FILE:lab-eval>")
  add_dependencies(test_train_apps lab-train lab-eval)
  add_test(NAME train_apps COMMAND test_train_apps)
endif()
if(TARGET lab-train AND TARGET lab::mpi AND MPIEXEC_EXECUTABLE)
  lab_test_executable(test_mpi train/apps/mpi_test.cpp)
  target_link_libraries(test_mpi PRIVATE lab::mpi)
  target_compile_definitions(test_mpi PRIVATE LAB_TRAIN_APP="$<TARGET_FILE:lab-train>" LAB_MPIRUN="${MPIEXEC_EXECUTABLE}")
  add_dependencies(test_mpi lab-train)
  add_test(NAME mpi COMMAND test_mpi)
endif()

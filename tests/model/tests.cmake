# Whole models as a user meets them: damaged files through the library, and the apps that look into and talk to models.
function(lab_model_test name source)
  lab_test_executable(test_${name} ${source})
  add_test(NAME ${name} COMMAND test_${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300)  # a damaged file must not hang a reader either
endfunction()

lab_model_test(damaged model/damaged_test.cpp)
if(TARGET lab-model AND TARGET lab-chat AND TARGET lab-generate)
  lab_model_test(model_apps model/apps/app_test.cpp)
  target_compile_definitions(test_model_apps PRIVATE
    LAB_MODEL_APP="$<TARGET_FILE:lab-model>"
    LAB_CHAT_APP="$<TARGET_FILE:lab-chat>"
    LAB_GENERATE_APP="$<TARGET_FILE:lab-generate>")
  add_dependencies(test_model_apps lab-model lab-chat lab-generate)
endif()

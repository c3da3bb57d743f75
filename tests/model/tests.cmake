# Whole models as a user meets them: damaged files through the library, and the apps that look into and talk to models.
function(lab_model_test name source)
  add_executable(test_${name} support/main.cpp ${source})
  target_include_directories(test_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(test_${name} PRIVATE lab::lab lab::native lab::dev lab::compiled Boost::unit_test_framework)
  target_compile_definitions(test_${name} PRIVATE
    BOOST_TEST_DYN_LINK
    LAB_TEST_DATA="${CMAKE_CURRENT_SOURCE_DIR}/data"
    LAB_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    LAB_SHARED_DATA="${PROJECT_SOURCE_DIR}/../shared/data")
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

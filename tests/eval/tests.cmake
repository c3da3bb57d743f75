target_link_libraries(test_eval PRIVATE lab::compiled)

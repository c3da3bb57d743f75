target_link_libraries(test_infer PRIVATE lab::compiled)

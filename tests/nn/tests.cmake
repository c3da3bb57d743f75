target_link_libraries(test_nn PRIVATE lab::compiled)

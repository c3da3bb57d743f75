target_link_libraries(test_optim PRIVATE lab::compiled)

# A stranger's project: once against the installed package, once with add_subdirectory. Configured, built and run by ctest.
foreach(how find_package add_subdirectory)
  add_test(NAME consumer_${how}
    COMMAND ${CMAKE_COMMAND} -DHOW=${how} -DLAB_SOURCE=${PROJECT_SOURCE_DIR} -DLAB_BINARY=${PROJECT_BINARY_DIR}
            -DWORK=${CMAKE_CURRENT_BINARY_DIR}/consumer_${how} -DGENERATOR=${CMAKE_GENERATOR} -DCOMPILER=${CMAKE_CXX_COMPILER}
            -P ${CMAKE_CURRENT_LIST_DIR}/run.cmake)
endforeach()

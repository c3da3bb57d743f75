# A checker for scripts, built on request only (cmake --build DIR --target taxonomy_check).
if(TARGET lab::taxonomy)
  add_executable(taxonomy_check EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/check_tool.cpp)
  target_link_libraries(taxonomy_check PRIVATE lab::lab lab::native lab::dev lab::taxonomy)
endif()

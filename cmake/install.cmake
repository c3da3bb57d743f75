# find_package(lab [COMPONENTS taxonomy sdg]): lab::lab needs nlohmann-json; a component brings what it links.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(DIRECTORY include/lab DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/lab)
install(FILES cmake/lab-targets.cmake DESTINATION ${package_dir})
configure_package_config_file(cmake/lab-config.cmake.in ${PROJECT_BINARY_DIR}/lab-config.cmake INSTALL_DESTINATION ${package_dir}
                              PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/lab-config-version.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/lab-config.cmake ${PROJECT_BINARY_DIR}/lab-config-version.cmake DESTINATION ${package_dir})

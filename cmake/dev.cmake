# lab::dev: warnings and sanitizers for the project's own tests and apps; never installed.
option(LAB_WERROR "Treat warnings as errors" OFF)
set(LAB_SANITIZE "" CACHE STRING "Sanitizers for apps and tests, e.g. address,undefined or thread")

add_library(lab_dev INTERFACE)
add_library(lab::dev ALIAS lab_dev)
target_compile_options(lab_dev INTERFACE -Wall -Wextra -Wconversion -Wshadow $<$<BOOL:${LAB_WERROR}>:-Werror>)
# GCC 12 sees overlapping copies in std::string's operator+ where there are none (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(lab_dev INTERFACE -Wno-restrict)
endif()
# Collecting its garbage takes GCC a sixth of the time; without, a source takes 1 GB of memory instead of 0.8.
target_compile_options(lab_dev INTERFACE
  $<$<CXX_COMPILER_ID:GNU>:--param=ggc-min-expand=1000$<SEMICOLON>--param=ggc-min-heapsize=4000000>)
# What of nlohmann-json nothing here uses, with the standard headers that it takes.
target_compile_definitions(lab_dev INTERFACE JSON_HAS_RANGES=0 JSON_HAS_FILESYSTEM=0)
if(LAB_SANITIZE)
  target_compile_options(lab_dev INTERFACE -fsanitize=${LAB_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(lab_dev INTERFACE -fsanitize=${LAB_SANITIZE})
endif()
# lab's own headers get the warnings too; for a user they are system headers.
set_target_properties(lab PROPERTIES IMPORTED_NO_SYSTEM ON)

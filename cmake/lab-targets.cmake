# Targets, the same inside the project and after installation:
#   lab::lab        headers of every layer that links nothing (nlohmann-json is headers; plus threads)
#   lab::taxonomy   + yaml-cpp, libxml2 (if found) lab::sdg   + cpp-httplib, OpenSSL, cmark-gfm, PCRE2 (if found)
#   lab::mpi        + MPI (if found): training by several processes
#   lab::native     flags for this machine's CPU   lab::dev   warnings and sanitizers, for the project's own code only
include(CMakeFindDependencyMacro)
include_guard(GLOBAL)

if(NOT DEFINED LAB_INCLUDE_DIR)
  set(LAB_INCLUDE_DIR ${CMAKE_CURRENT_LIST_DIR}/../include)
endif()

find_dependency(Threads)
find_dependency(nlohmann_json 3)

add_library(lab INTERFACE IMPORTED GLOBAL)
add_library(lab::lab ALIAS lab)
target_include_directories(lab INTERFACE ${LAB_INCLUDE_DIR})
target_compile_features(lab INTERFACE cxx_std_20)
target_link_libraries(lab INTERFACE nlohmann_json::nlohmann_json Threads::Threads)

find_package(yaml-cpp QUIET)
find_package(LibXml2 QUIET)
find_package(OpenSSL QUIET)
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(LAB_HTTPLIB QUIET IMPORTED_TARGET GLOBAL cpp-httplib)
  pkg_check_modules(LAB_CMARK QUIET IMPORTED_TARGET GLOBAL libcmark-gfm)
  pkg_check_modules(LAB_PCRE2 QUIET IMPORTED_TARGET GLOBAL libpcre2-8)
endif()

if(yaml-cpp_FOUND)
  add_library(lab_taxonomy INTERFACE IMPORTED GLOBAL)
  add_library(lab::taxonomy ALIAS lab_taxonomy)
  target_link_libraries(lab_taxonomy INTERFACE lab yaml-cpp)
  if(LibXml2_FOUND)  # without it HTML documents are refused, with the package's name
    target_link_libraries(lab_taxonomy INTERFACE LibXml2::LibXml2)
    target_compile_definitions(lab_taxonomy INTERFACE LAB_HTML)
  endif()
endif()
if(yaml-cpp_FOUND AND LAB_HTTPLIB_FOUND AND OpenSSL_FOUND AND LAB_CMARK_FOUND)
  add_library(lab_sdg INTERFACE IMPORTED GLOBAL)
  add_library(lab::sdg ALIAS lab_sdg)
  target_link_libraries(lab_sdg INTERFACE lab_taxonomy PkgConfig::LAB_HTTPLIB PkgConfig::LAB_CMARK OpenSSL::SSL OpenSSL::Crypto)
  target_compile_definitions(lab_sdg INTERFACE CPPHTTPLIB_OPENSSL_SUPPORT)
  if(LAB_PCRE2_FOUND)  # optional: patterns in pipeline files
    target_link_libraries(lab_sdg INTERFACE PkgConfig::LAB_PCRE2)
    target_compile_definitions(lab_sdg INTERFACE LAB_PCRE2)
  endif()
endif()

# Training by several processes (dist/mpi.hpp).
option(LAB_WITH_MPI "Use MPI where it is found" ON)
if(LAB_WITH_MPI)
  find_package(MPI QUIET COMPONENTS CXX)
  if(MPI_CXX_FOUND)
    add_library(lab_mpi INTERFACE IMPORTED GLOBAL)
    add_library(lab::mpi ALIAS lab_mpi)
    target_link_libraries(lab_mpi INTERFACE lab MPI::MPI_CXX)
    target_compile_definitions(lab_mpi INTERFACE LAB_MPI OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
  endif()
endif()

# No contraction: a*b+c must round the same in every translation unit, or "same seed, same bytes" breaks.
option(LAB_NATIVE "Compile for this machine's CPU (lab::native)" ON)
add_library(lab_native INTERFACE IMPORTED GLOBAL)
add_library(lab::native ALIAS lab_native)
target_compile_options(lab_native INTERFACE -ffp-contract=off $<$<BOOL:${LAB_NATIVE}>:-march=native>)

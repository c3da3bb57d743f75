# Targets: lab::lab (headers of core, kernels, formats, tokenizer, text, sampling, nn, infer, optim, replay, train, eval; links
# nothing), one INTERFACE target for each component with a linked dependency, lab::native (flags for this machine),
# lab::dev (warnings and sanitizers, for the project's own code only).
find_package(Threads REQUIRED)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
# Debian's xsimd target drags in xtl, which only its complex batches need: take the headers alone.
find_path(LAB_XSIMD_INCLUDE xsimd/xsimd.hpp REQUIRED)
find_package(nlohmann_json 3 REQUIRED)

add_library(lab INTERFACE)
add_library(lab::lab ALIAS lab)
target_include_directories(lab INTERFACE $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
target_include_directories(lab SYSTEM INTERFACE ${LAB_XSIMD_INCLUDE})
target_compile_features(lab INTERFACE cxx_std_20)
target_link_libraries(lab INTERFACE Eigen3::Eigen nlohmann_json::nlohmann_json Threads::Threads)

# Components whose dependencies are linked; a consumer names them in find_package(lab COMPONENTS ...).
find_package(yaml-cpp QUIET)
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(LAB_HTTPLIB IMPORTED_TARGET GLOBAL cpp-httplib)
  pkg_check_modules(LAB_CMARK IMPORTED_TARGET GLOBAL libcmark-gfm)
  pkg_check_modules(LAB_PCRE2 IMPORTED_TARGET GLOBAL libpcre2-8)
  pkg_check_modules(LAB_UTF8PROC IMPORTED_TARGET GLOBAL libutf8proc)
  pkg_check_modules(LAB_EDIT IMPORTED_TARGET GLOBAL libedit)
endif()
find_package(OpenSSL QUIET)

if(yaml-cpp_FOUND)
  add_library(lab_taxonomy INTERFACE)
  add_library(lab::taxonomy ALIAS lab_taxonomy)
  target_link_libraries(lab_taxonomy INTERFACE lab yaml-cpp)
endif()
if(yaml-cpp_FOUND AND LAB_HTTPLIB_FOUND AND OpenSSL_FOUND AND LAB_CMARK_FOUND)
  add_library(lab_sdg INTERFACE)
  add_library(lab::sdg ALIAS lab_sdg)
  target_link_libraries(lab_sdg INTERFACE lab_taxonomy PkgConfig::LAB_HTTPLIB PkgConfig::LAB_CMARK OpenSSL::SSL OpenSSL::Crypto)
  target_compile_definitions(lab_sdg INTERFACE CPPHTTPLIB_OPENSSL_SUPPORT)
endif()

# No contraction: a*b+c must round the same in every translation unit, or "same seed, same bytes" breaks.
add_library(lab_native INTERFACE)
add_library(lab::native ALIAS lab_native)
target_compile_options(lab_native INTERFACE -ffp-contract=off $<$<BOOL:${LAB_NATIVE}>:-march=native>)

add_library(lab_dev INTERFACE)
add_library(lab::dev ALIAS lab_dev)
target_compile_options(lab_dev INTERFACE -Wall -Wextra -Wconversion -Wshadow $<$<BOOL:${LAB_WERROR}>:-Werror>)
if(LAB_SANITIZE)
  target_compile_options(lab_dev INTERFACE -fsanitize=${LAB_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(lab_dev INTERFACE -fsanitize=${LAB_SANITIZE})
endif()

# The libraries that Spate is built on; all come from the system's package manager (./dev deps).
# llhttp alone may come from a folder of our own (Debian 12 does not package it): SPATE_DEPS_DIR.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(LIBUV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)

set(SPATE_DEPS_DIR "$ENV{SPATE_DEPS_DIR}" CACHE PATH "Folder with llhttp, if not in the system")
if(NOT SPATE_DEPS_DIR)
    set(cache_root "$ENV{SPATE_CACHE}")
    if(NOT cache_root)
        set(cache_root "$ENV{HOME}/.cache/spate")
    endif()
    set(SPATE_DEPS_DIR "${cache_root}/deps/llhttp-9.2.1")
endif()
set(deps_usr "${SPATE_DEPS_DIR}/usr")
find_path(LLHTTP_INCLUDE llhttp.h HINTS ${deps_usr}/include)
find_library(LLHTTP_LIBRARY NAMES libllhttp.a llhttp
    HINTS ${deps_usr}/lib ${deps_usr}/lib/${CMAKE_C_LIBRARY_ARCHITECTURE}
          ${deps_usr}/lib/x86_64-linux-gnu ${deps_usr}/lib/aarch64-linux-gnu)
if(NOT LLHTTP_INCLUDE OR NOT LLHTTP_LIBRARY)
    message(FATAL_ERROR "llhttp not found: run ./dev deps, which fetches it without changing the "
                        "system, or install libllhttp-dev")
endif()
add_library(spate_llhttp INTERFACE)
target_include_directories(spate_llhttp SYSTEM INTERFACE ${LLHTTP_INCLUDE})
target_link_libraries(spate_llhttp INTERFACE ${LLHTTP_LIBRARY})

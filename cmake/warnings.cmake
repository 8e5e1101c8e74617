# Warnings and hardening flags, the same for every target. Each flag that an older compiler may lack
# is probed, so that the build works from gcc 12 and clang 14 on.
include(CheckCCompilerFlag)

add_library(spate_flags INTERFACE)
target_compile_options(spate_flags INTERFACE
    -Wall -Wextra -Wformat=2 -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
    -Wcast-qual -Wimplicit-fallthrough -Wundef -Wno-missing-field-initializers
    -Werror=incompatible-pointer-types -Werror=implicit-function-declaration
    -fno-delete-null-pointer-checks -fno-strict-overflow -fvisibility=hidden
    -ffp-contract=off -fno-omit-frame-pointer -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND NOT SPATE_SANITIZE)
    target_compile_options(spate_flags INTERFACE -Wnull-dereference)
endif()
target_compile_definitions(spate_flags INTERFACE _GNU_SOURCE)

if(SPATE_WERROR)
    target_compile_options(spate_flags INTERFACE -Werror)
endif()

if(SPATE_SANITIZE)
    target_compile_options(spate_flags INTERFACE
        -fsanitize=${SPATE_SANITIZE} -fno-sanitize-recover=all -O1 -g)
    target_link_options(spate_flags INTERFACE -fsanitize=${SPATE_SANITIZE})
    target_compile_definitions(spate_flags INTERFACE SPATE_SANITIZED=1)
    if(SPATE_FUZZ)
        target_compile_options(spate_flags INTERFACE -fsanitize=fuzzer-no-link)
    endif()
else()
    # A local that was not initialised: zero where it is shipped, garbage where it is developed, so
    # that a test run shows what zeroes would hide.
    if(SPATE_ASSERTIONS)
        set(auto_var_init -ftrivial-auto-var-init=pattern)
    else()
        set(auto_var_init -ftrivial-auto-var-init=zero)
    endif()
    foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection=full
            ${auto_var_init} -fzero-call-used-regs=used-gpr)
        string(MAKE_C_IDENTIFIER "HAVE${flag}" variable)
        check_c_compiler_flag(${flag} ${variable})
        if(${variable})
            target_compile_options(spate_flags INTERFACE ${flag})
        endif()
    endforeach()
    target_compile_definitions(spate_flags INTERFACE $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=3>)
    target_link_options(spate_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed)
endif()

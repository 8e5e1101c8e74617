# Tests in Python over the programs of this build. Building needs no Python: without it these tests do
# not exist, and ./dev test says so.
find_program(PYTHON3 python3)

# spate_python_test(LABEL NAME TIMEOUT_S [SIDE_BY_SIDE] [LONG]): the test LABEL/NAME, NAME.py of the calling
# folder. It has the machine for itself, unless other tests SIDE_BY_SIDE may run meanwhile. A LONG one begins
# before the others, so that the run does not end with it alone.
function(spate_python_test label name timeout_s)
    cmake_parse_arguments(PARSE_ARGV 3 test "SIDE_BY_SIDE;LONG" "" "")
    if(NOT PYTHON3)
        return()
    endif()
    add_test(NAME ${label}/${name} COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/${name}.py)
    set(alone ON)
    if(test_SIDE_BY_SIDE)
        set(alone OFF)
    endif()
    set_tests_properties(${label}/${name} PROPERTIES TIMEOUT ${timeout_s} LABELS ${label}
        RUN_SERIAL ${alone} ENVIRONMENT "SPATE_BIN=${CMAKE_BINARY_DIR}/bin")
    if(test_LONG)
        set_tests_properties(${label}/${name} PROPERTIES COST 1)
    endif()
endfunction()

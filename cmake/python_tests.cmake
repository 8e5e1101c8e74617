# Tests in Python over the programs of this build. Building needs no Python: without it these tests do
# not exist, and ./dev test says so.
find_program(PYTHON3 python3)

# spate_python_test(LABEL NAME TIMEOUT_S): the test LABEL/NAME, NAME.py of the calling folder.
function(spate_python_test label name timeout_s)
    if(NOT PYTHON3)
        return()
    endif()
    add_test(NAME ${label}/${name} COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/${name}.py)
    set_tests_properties(${label}/${name} PROPERTIES TIMEOUT ${timeout_s} LABELS ${label}
        RUN_SERIAL ON ENVIRONMENT "SPATE_BIN=${CMAKE_BINARY_DIR}/bin")
endfunction()

# The arrows of the design: which folder may include which. A header is always included by its path
# from the root ("base/err.h"), but the root itself is on nobody's include path. Instead each folder
# gets a directory of its own in the build tree that holds one link to it:
#
#     build/dev/arrows/base/base -> <source>/base
#
# and a target sees only the folders that it declares. A wrong arrow fails to compile.

function(spate_arrow folder)
    string(REPLACE "/" "-" name ${folder})
    set(root ${CMAKE_BINARY_DIR}/arrows/${name})
    get_filename_component(parent ${folder} DIRECTORY)
    file(MAKE_DIRECTORY ${root}/${parent})
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${folder} ${root}/${folder} SYMBOLIC)
    add_library(arrow_${name} INTERFACE)
    target_include_directories(arrow_${name} INTERFACE ${root})
endfunction()

# spate_library(name FOLDER folder SOURCES ... USES arrow ... LINKS library ...)
# USES names folders whose headers may be included; their libraries must be in LINKS.
function(spate_library name)
    cmake_parse_arguments(ARG "" "FOLDER" "SOURCES;USES;LINKS" ${ARGN})
    add_library(${name} STATIC ${ARG_SOURCES})
    target_link_libraries(${name} PUBLIC spate_flags ${ARG_LINKS})
    foreach(folder ${ARG_FOLDER} ${ARG_USES})
        string(REPLACE "/" "-" arrow ${folder})
        target_link_libraries(${name} PRIVATE arrow_${arrow})
    endforeach()
endfunction()

# spate_program(name FOLDER folder SOURCES ... USES arrow ... LINKS library ...)
function(spate_program name)
    cmake_parse_arguments(ARG "" "FOLDER" "SOURCES;USES;LINKS" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE spate_flags ${ARG_LINKS})
    foreach(folder ${ARG_FOLDER} ${ARG_USES})
        string(REPLACE "/" "-" arrow ${folder})
        target_link_libraries(${name} PRIVATE arrow_${arrow})
    endforeach()
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endfunction()

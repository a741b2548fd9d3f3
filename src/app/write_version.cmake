# Run at every build: writes version.cpp when the git state changed.
execute_process(COMMAND git describe --always --dirty --abbrev=12 WORKING_DIRECTORY ${SOURCE}
  OUTPUT_VARIABLE NTK_GIT_STATE OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT NTK_GIT_STATE)
  set(NTK_GIT_STATE unknown)
endif()
configure_file(${SOURCE}/src/app/version.cpp.in ${TARGET} @ONLY)

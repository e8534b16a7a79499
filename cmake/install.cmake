# SPDX-License-Identifier: Apache-2.0
# cmake --install: headers, shared library, command, and what pkg-config and find_package read. Relocatable.
include(CMakePackageConfigHelpers)
set(INCISE_PACKAGE ${CMAKE_INSTALL_LIBDIR}/cmake/incise)
file(RELATIVE_PATH INCISE_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" INCISE_PC_TO_PREFIX "${INCISE_PC_TO_PREFIX}")
configure_file(cmake/incise.pc.in incise.pc @ONLY)
write_basic_package_version_file(incise-config-version.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS incise_shared EXPORT incise-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS incise RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/incise DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT incise-targets NAMESPACE incise:: DESTINATION ${INCISE_PACKAGE})
install(FILES cmake/incise-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/incise-config-version.cmake
    DESTINATION ${INCISE_PACKAGE})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/incise.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

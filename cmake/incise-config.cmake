# SPDX-License-Identifier: Apache-2.0
# find_package(incise) gives the target incise::incise. The library brings what it needs itself.
include("${CMAKE_CURRENT_LIST_DIR}/incise-targets.cmake")

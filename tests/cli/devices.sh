# SPDX-License-Identifier: Apache-2.0
incise devices --isa scalar --threads 2 --format json | cli_check json device cpu isa isa_best threads family kernel why
incise devices --isa scalar --threads 2 --format csv | cut -d, -f1,3,5- | sed 's/^cpu.*,scalar,2/cpu,scalar,2/'

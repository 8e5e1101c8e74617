/* SPDX-License-Identifier: Apache-2.0 */
/* Included before a program's main.c, whose main() has another name here and so needs this. */
#ifndef SPATE_TESTS_DOCS_MAIN_DECLARED_H
#define SPATE_TESTS_DOCS_MAIN_DECLARED_H

int main(int argc, char **argv);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters, methods and functions of templates, and what their files share. Inside
 * engine/text/template*.c only.
 */
#ifndef SPATE_ENGINE_TEXT_TEMPLATE_CALLS_H
#define SPATE_ENGINE_TEXT_TEMPLATE_CALLS_H

#include "engine/text/template_run.h"

/* The filter or method needs a text. */
int call_need_text(struct run *run, const struct node *at, struct value v, struct str *out);
/* The text argument, or `standard` where it is not given. */
int call_text(struct run *run, const struct node *at, const struct arguments *args, int index,
              const char *keyword, struct str standard, struct str *out);
int call_integer(struct run *run, const struct node *at, const struct arguments *args, int index,
                 const char *keyword, int64_t standard, int64_t *out);
int call_append(struct run *run, const struct node *at, struct value_list *list, struct value item);
/* What Python strips when it is not told what. */
bool call_is_blank(uint32_t c);
/* `s` without the leading (left) and trailing (right) characters of `chars`; blanks if empty. */
struct str call_strip(struct str s, struct str chars, bool left, bool right);

/* One callable: `at` gives the place, `subject` what the filter or method is called on. */
typedef int call_fn(struct run *run, const struct node *at, struct value subject,
                    const struct arguments *args, struct value *out);

call_fn filter_trim;
call_fn filter_length;
call_fn filter_join;
call_fn filter_upper;
call_fn filter_lower;
call_fn filter_title;
call_fn filter_capitalize;
call_fn filter_default;
call_fn filter_tojson;
call_fn filter_items;
call_fn filter_list;
call_fn filter_string;
call_fn filter_safe;
call_fn filter_int;
call_fn filter_first;
call_fn filter_last;
call_fn filter_select;
call_fn filter_reject;
call_fn filter_selectattr;
call_fn filter_rejectattr;
call_fn filter_map;

call_fn method_replace;
call_fn method_strip;
call_fn method_lstrip;
call_fn method_rstrip;
call_fn method_split;
call_fn method_startswith;
call_fn method_endswith;
call_fn method_get;
call_fn method_keys;
call_fn method_values;

call_fn function_namespace;
call_fn function_raise;
call_fn function_range;
call_fn function_strftime_now;

#endif

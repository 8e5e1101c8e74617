/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object of any kind, as it travels between CLI, endpoint and state folder: metadata beside the
 * JSON trees of spec and status. An object is immutable once published (shared by reference); a
 * change is made on a copy. References and trees belong to one thread.
 */
#ifndef SPATE_CRD_OBJECT_H
#define SPATE_CRD_OBJECT_H

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "crd/field.h"

enum {
    CRD_OBJECT_BYTES_MAX = 1 << 20, /* of one manifest, as text */
    CRD_FAULTS_MAX = 20,            /* lines reported of one object */
    CRD_FAULT_BYTES_MAX = 16384,
    CRD_MAP_BYTES_MAX = 256 << 10, /* keys and values of the labels, or of the annotations */
    CRD_NAME_MAX = 63, /* of an object: a DNS label, so that names of pods can be made of it */
};

#define CRD_NAMESPACE_DEFAULT "default"

/* A text in a list of texts. */
struct crd_name {
    struct str text;
};

struct crd_object {
    const struct crd_kind *kind;
    int references;
    char *name;
    char *name_space;       /* "" for cluster-scoped kinds */
    char *uid;              /* "" until stored */
    char *resource_version; /* opaque; "" until stored */
    int64_t generation;     /* raised at each change of spec; 0 until stored */
    int64_t created_ms;     /* Unix milliseconds; 0 until stored */
    json_t *labels;         /* objects of strings; never NULL but in a packed object */
    json_t *annotations;
    json_t *spec;      /* never NULL but in a packed object; defaults filled in */
    json_t *status;    /* NULL: none yet */
    char *spec_text;   /* of a packed object: the trees as text. Else NULL */
    char *status_text; /* NULL: none */
};

/*
 * Reads and checks a whole object (a manifest, or a stored one). Fills in defaults; of a namespaced
 * kind without metadata.namespace takes `default_namespace` (NULL: "default"). The tree is copied.
 *
 * On bad content returns -ERR_INVALID; *faults (may be NULL; the caller inits it with
 * CRD_FAULT_BYTES_MAX) then holds one line per fault: "spec.scaling.maxReplicas: 0 is below 1; use
 * 1 to 1000", and err the first of them.
 */
int crd_object_read(struct crd_object **out, const json_t *tree, const char *default_namespace,
                    struct buf *faults, struct err *err);

/* The whole object as JSON, a new reference; NULL without memory. */
json_t *crd_object_tree(const struct crd_object *object);

/* A private copy (references 1, trees deep-copied) to change before it is published. */
int crd_object_copy(struct crd_object **out, const struct crd_object *object, struct err *err);

/*
 * Packing is for those who keep objects by the thousand, and use crd_tree and the typed readers
 * alone: a tree takes several times the memory of its text. Labels and annotations are dropped.
 * Changes the object, so do it before it is published. -ERR_NO_MEMORY: the object is as it was.
 */
int crd_object_pack(struct crd_object *object, struct err *err);
/* For the owner of a packed object whose status has been read and is of no more use. */
void crd_object_drop_status(struct crd_object *object);
bool crd_object_has_status(const struct crd_object *object);
/* A new reference to the tree under "spec" or "status", also of a packed object. *out is NULL if
 * there is no status. -ERR_NO_MEMORY. */
int crd_tree(json_t **out, const struct crd_object *object, const char *root, struct err *err);

struct crd_object *crd_object_ref(struct crd_object *object);
void crd_object_unref(struct crd_object *object);   /* NULL is allowed */
void crd_object_unrefp(struct crd_object **object); /* for CLEANUP */

/* True if the specs (defaults filled in) are equal: then the generation stays. */
bool crd_spec_equal(const struct crd_object *a, const struct crd_object *b);

/*
 * The check alone, on a tree that it changes by filling in defaults: returns the number of faults,
 * or -ERR_NO_MEMORY. At most CRD_FAULTS_MAX lines are appended to `faults`.
 */
int crd_check(const struct crd_kind *kind, json_t *tree, struct buf *faults);

/* Decodes the checked tree into the kind's C struct by the places in its table: `root` is "spec" or
 * "status". Strings and lists live in the arena. */
int crd_decode(const struct crd_kind *kind, const char *root, const json_t *tree, void *out,
               struct arena *arena, struct err *err);
/* The same with the object's own tree. The typed readers below each kind use it. */
int crd_object_decode(const struct crd_object *object, const char *root, void *out,
                      struct arena *arena, struct err *err);
/* The way back: a new tree of what lies under `root`; empty strings, zero times, empty lists are
 * left out. */
int crd_encode(const struct crd_kind *kind, const char *root, const void *in, json_t **out,
               struct err *err);

#endif

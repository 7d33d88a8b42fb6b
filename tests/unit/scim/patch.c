/* PATCH: the operations of RFC 7644 §3.5.2, and the dialects of Entra ID and Okta as their
 * documents show them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scim/scim.h"

#define ENTERPRISE "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

static const char person[] = "{\"userName\":\"jdoe\",\"displayName\":\"J\",\"active\":true,"
                             "\"name\":{\"givenName\":\"J\",\"familyName\":\"Doe\"},"
                             "\"" ENTERPRISE "\":{\"employeeNumber\":\"7\",\"department\":\"A\"}}";
static const char group[] =
    "{\"displayName\":\"N\",\"members\":[{\"value\":\"u1\"},{\"value\":\"u2\"}]}";

/* operations and wanted are written with ' for " */
static json_t *quoted(const char *text)
{
    char copy[2048];
    size_t n = strlen(text);
    for (size_t i = 0; i <= n; i++)
        copy[i] = text[i] == '\'' ? '"' : text[i];
    json_error_t why;
    json_t *v = json_loads(copy, JSON_DECODE_ANY, &why);
    if (v == NULL)
        fail_msg("%s: %s", copy, why.text);
    return v;
}

static enum b_code patched(enum scim_type type, const char *operations, json_t **ret)
{
    struct b_err err = {0};
    json_t *body =
        json_pack("{s:[s], s:o}", "schemas", "urn:ietf:params:scim:api:messages:2.0:PatchOp",
                  "Operations", quoted(operations));
    *ret = json_loads(type == SCIM_TYPE_USER ? person : group, 0, NULL);
    enum b_code r = scim_patch(type, *ret, body, &err);
    json_decref(body);
    return r;
}

static void becomes(enum scim_type type, const char *operations, const char *path,
                    const char *wanted)
{
    json_t *doc = NULL;
    json_t *want = quoted(wanted);
    struct b_err err = {0};
    if (patched(type, operations, &doc) != B_OK)
        fail_msg("%s", operations);
    struct scim_path p;
    assert_true(scim_path_read(type, path, strlen(path), &p));
    const json_t *at = json_object_get(scim_place(doc, p.schema, true), p.attribute->name);
    if (p.sub != NULL)
        at = json_object_get(at, p.sub->name);
    if (json_is_null(want) ? at != NULL : !json_equal(at, want))
        fail_msg("%s: %s is %s", operations, path,
                 at != NULL ? json_dumps(at, JSON_ENCODE_ANY) : "-");
    (void)err;
    json_decref(doc);
    json_decref(want);
}

static void is_refused(enum scim_type type, const char *operations, enum b_code code)
{
    json_t *doc = NULL;
    enum b_code r = patched(type, operations, &doc);
    if (r != code)
        fail_msg("%s: %s", operations, b_code_name(r));
    json_decref(doc);
}

static void a_leaver_is_said_in_many_dialects(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "[{'op':'replace','path':'active','value':false}]",
        "[{'op':'replace','value':{'active':false}}]",
        "[{'op':'Replace','path':'active','value':'False'}]",
        "[{'op':'Add','path':'ACTIVE','value':'false'}]",
        "[{'op':'replace','value':{'id':'u1','schemas':[],'active':false}}]",
        "[{'op':'add','path':'urn:ietf:params:scim:schemas:core:2.0:User:active','value':false}]",
    };
    for (size_t i = 0; i < B_COUNT(rows); i++)
        becomes(SCIM_TYPE_USER, rows[i], "active", "false");
}

static void attributes_are_set_by_path_and_without(void **state)
{
    (void)state;
    becomes(SCIM_TYPE_USER, "[{'op':'add','path':'name.givenName','value':'K'}]", "name",
            "{'givenName':'K','familyName':'Doe'}");
    becomes(SCIM_TYPE_USER, "[{'op':'replace','path':'name','value':{'givenName':'K'}}]", "name",
            "{'givenName':'K','familyName':'Doe'}");
    becomes(SCIM_TYPE_USER, "[{'op':'Add','value':{'name.familyName':'X'}}]", "name.familyName",
            "'X'");
    becomes(SCIM_TYPE_USER, "[{'op':'Replace','path':'" ENTERPRISE ":department','value':'B'}]",
            ENTERPRISE ":department", "'B'");
    becomes(SCIM_TYPE_USER, "[{'op':'add','value':{'" ENTERPRISE ":department':'B'}}]",
            ENTERPRISE ":department", "'B'");
    becomes(SCIM_TYPE_USER, "[{'op':'add','value':{'" ENTERPRISE "':{'department':'B'}}}]",
            ENTERPRISE ":department", "'B'");
    becomes(SCIM_TYPE_USER, "[{'op':'add','path':'" ENTERPRISE "','value':{'department':'B'}}]",
            ENTERPRISE ":department", "'B'");
    becomes(SCIM_TYPE_USER, "[{'op':'remove','path':'displayName'}]", "displayName", "null");
    becomes(SCIM_TYPE_USER, "[{'op':'replace','path':'displayName','value':null}]", "displayName",
            "null");
    becomes(SCIM_TYPE_USER, "[{'op':'remove','path':'name.givenName'}]", "name",
            "{'familyName':'Doe'}");
    becomes(SCIM_TYPE_USER,
            "[{'op':'add','path':'externalId','value':'a'},"
            "{'op':'replace','path':'externalId','value':'b'}]",
            "externalId", "'b'");
}

static void members_come_and_go(void **state)
{
    (void)state;
    static const struct {
        const char *operations, *members;
    } rows[] = {
        {"[{'op':'add','path':'members','value':[{'value':'u3'}]}]",
         "[{'value':'u1'},{'value':'u2'},{'value':'u3'}]"},
        {"[{'op':'Add','path':'members','value':[{'$ref':null,'value':'u2'},{'value':'u3'},"
         "{'value':'u3'}]}]",
         "[{'value':'u1'},{'value':'u2'},{'value':'u3'}]"},
        {"[{'op':'add','value':{'members':[{'value':'u3'}]}}]",
         "[{'value':'u1'},{'value':'u2'},{'value':'u3'}]"},
        {"[{'op':'add','path':'members','value':{'value':'u3'}}]",
         "[{'value':'u1'},{'value':'u2'},{'value':'u3'}]"},
        {"[{'op':'remove','path':'members[value eq \\'u1\\']'}]", "[{'value':'u2'}]"},
        {"[{'op':'Remove','path':'members','value':[{'value':'u1'}]}]", "[{'value':'u2'}]"},
        {"[{'op':'remove','path':'members[value eq \\'u9\\']'}]",
         "[{'value':'u1'},{'value':'u2'}]"},
        {"[{'op':'remove','path':'members'}]", "null"},
        {"[{'op':'replace','path':'members','value':[{'value':'u9'}]}]", "[{'value':'u9'}]"},
        {"[{'op':'replace','path':'members','value':[]}]", "[]"},
    };
    for (size_t i = 0; i < B_COUNT(rows); i++)
        becomes(SCIM_TYPE_GROUP, rows[i].operations, "members", rows[i].members);
}

static void what_is_not_kept_is_passed_over(void **state)
{
    (void)state;
    becomes(SCIM_TYPE_USER,
            "[{'op':'add','path':'emails[type eq \\'work\\'].value','value':'a@b'},"
            "{'op':'replace','path':'title','value':'Dr'},"
            "{'op':'add','value':{'phoneNumbers':[{'value':'1'}],'unknown':1}}]",
            "userName", "'jdoe'");
}

static void what_cannot_be_is_refused_by_its_name(void **state)
{
    (void)state;
    static const struct {
        const char *operations;
        enum b_code code;
    } rows[] = {
        {"[]", B_E_BAD_INPUT},
        {"[{'op':'move','path':'active','value':true}]", B_E_BAD_INPUT},
        {"[{'path':'active','value':true}]", B_E_BAD_INPUT},
        {"[5]", B_E_BAD_INPUT},
        {"[{'op':'remove'}]", B_E_SCIM_TARGET},
        {"[{'op':'add','path':'active'}]", B_E_SCIM_VALUE},
        {"[{'op':'add','path':'active','value':'perhaps'}]", B_E_SCIM_VALUE},
        {"[{'op':'add','path':'displayName','value':5}]", B_E_SCIM_VALUE},
        {"[{'op':'add','value':'x'}]", B_E_SCIM_VALUE},
        {"[{'op':'add','path':'id','value':'u2'}]", B_E_SCIM_MUTABILITY},
        {"[{'op':'replace','path':'meta.created','value':'x'}]", B_E_SCIM_MUTABILITY},
        {"[{'op':'replace','path':'groups','value':[]}]", B_E_SCIM_MUTABILITY},
        {"[{'op':'remove','path':'userName'}]", B_E_SCIM_MUTABILITY},
        {"[{'op':'remove','path':'active'}]", B_E_SCIM_MUTABILITY},
        {"[{'op':'replace','path':'" ENTERPRISE ":employeeNumber','value':'8'}]",
         B_E_SCIM_MUTABILITY},
        {"[{'op':'add','path':'nothing','value':1}]", B_E_SCIM_PATH},
        {"[{'op':'add','path':'name.nothing','value':1}]", B_E_SCIM_PATH},
        {"[{'op':'add','path':'name[','value':1}]", B_E_SCIM_PATH},
        {"[{'op':'add','path':'name[x eq 1]y','value':1}]", B_E_SCIM_PATH},
        {"[{'op':'add','path':5,'value':1}]", B_E_SCIM_PATH},
        {"[{'op':'add','path':'name[givenName eq \\'J\\']','value':{}}]", B_E_SCIM_PATH},
    };
    for (size_t i = 0; i < B_COUNT(rows); i++)
        is_refused(SCIM_TYPE_USER, rows[i].operations, rows[i].code);
    is_refused(SCIM_TYPE_GROUP,
               "[{'op':'replace','path':'members[value eq \\'u9\\']','value':{'value':'u8'}}]",
               B_E_SCIM_TARGET);
    is_refused(SCIM_TYPE_GROUP, "[{'op':'add','path':'members.value','value':'u8'}]",
               B_E_SCIM_PATH);
    is_refused(SCIM_TYPE_GROUP, "[{'op':'remove','path':'members[value xx 1]'}]", B_E_SCIM_FILTER);
    becomes(SCIM_TYPE_USER, "[{'op':'replace','path':'" ENTERPRISE ":employeeNumber','value':'7'}]",
            ENTERPRISE ":employeeNumber", "'7'");
}

static void a_body_becomes_ours(void **state)
{
    (void)state;
    struct b_err err = {0};
    json_t *doc = NULL;
    json_t *body =
        quoted("{'schemas':['x'],'USERNAME':'jdoe','active':'TRUE','id':'mine','meta':{},"
               "'emails':[{'value':'a@b'}],'password':'secret','odd':{'x':1},'displayName':null,"
               "'name':{'GivenName':'J','middleName':'M'},'" ENTERPRISE
               "':{'department':'A','costCenter':'1'}}");
    json_t *want = quoted("{'userName':'jdoe','active':true,'name':{'givenName':'J'},'" ENTERPRISE
                          "':{'department':'A'}}");
    assert_int_equal(scim_body_read(SCIM_TYPE_USER, body, &doc, &err), B_OK);
    assert_true(json_equal(doc, want));
    json_decref(doc);
    json_decref(body);
    json_decref(want);
    body = quoted("{'displayName':'x'}");
    assert_int_equal(scim_body_read(SCIM_TYPE_USER, body, &doc, &err), B_E_SCIM_VALUE);
    json_decref(body);
}

static void what_is_asked_for_is_what_is_given(void **state)
{
    (void)state;
    static const struct {
        const char *attributes, *excluded, *wanted;
    } rows[] = {
        {"displayName", NULL, "{'id':'g1','displayName':'N'}"},
        {NULL, "members", "{'id':'g1','displayName':'N'}"},
        {NULL, "id,members.$ref",
         "{'id':'g1','displayName':'N','members':[{'value':'u1'},{'value':'u2'}]}"},
        {"members.value,nothing", NULL, "{'id':'g1','members':[{'value':'u1'},{'value':'u2'}]}"},
    };
    for (size_t i = 0; i < B_COUNT(rows); i++) {
        struct b_err err = {0};
        json_t *want = quoted(rows[i].wanted);
        json_t *doc = quoted("{'id':'g1','displayName':'N','members':[{'value':'u1','$ref':'a'},"
                             "{'value':'u2','$ref':'b'}]}");
        assert_int_equal(
            scim_project(SCIM_TYPE_GROUP, doc, rows[i].attributes, rows[i].excluded, &err), B_OK);
        if (!json_equal(doc, want))
            fail_msg("%s", json_dumps(doc, 0));
        json_decref(doc);
        json_decref(want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leaver_is_said_in_many_dialects),
        cmocka_unit_test(attributes_are_set_by_path_and_without),
        cmocka_unit_test(members_come_and_go),
        cmocka_unit_test(what_is_not_kept_is_passed_over),
        cmocka_unit_test(what_cannot_be_is_refused_by_its_name),
        cmocka_unit_test(a_body_becomes_ours),
        cmocka_unit_test(what_is_asked_for_is_what_is_given),
    };
    return cmocka_run_group_tests_name("patch", tests, NULL, NULL);
}

#!/usr/bin/python3
"""A domain of Active Directory for a test, by Samba's own provisioning: DIR/smb.conf and all it names.

    domain.py DIR FQDN PASSWORD     the realm is what follows the first dot; Administrator and the account
                                    that reads have the password

Debian's Python, as Samba's modules are for that one alone.
"""
import logging
import os
import sys

from samba.auth import system_session
from samba.dsdb import DS_DOMAIN_FUNCTION_2008_R2
from samba.param import LoadParm
from samba.provision import provision

SETTINGS = """[global]
server role = active directory domain controller
server services = ldap
workgroup = {workgroup}
realm = {realm}
netbios name = {host}
private dir = {dir}/private
state directory = {dir}/state
lock directory = {dir}
cache directory = {dir}/cache
binddns dir = {dir}/bind-dns
pid directory = {dir}
ncalrpc dir = {dir}/ncalrpc
nmbd:socket dir = {dir}/nmbd
interfaces = lo
bind interfaces only = yes
tls certfile = {dir}/tls.pem
tls keyfile = {dir}/tls.key
tls cafile = {dir}/ca.pem
[sysvol]
path = {dir}/state/sysvol
[netlogon]
path = {dir}/state/sysvol/{dns}/scripts
"""
UNITS = [
    "OU=services", "OU=staff", "OU=night,OU=staff", "OU=left", "OU=crowd", "OU=groups",
    "OU=Groupes de sécurité du pôle mère-enfant et de la réanimation,OU=groups",
    "OU=Accès aux applications de prescription et de dispensation,OU=Groupes de sécurité du pôle mère-enfant et de la réanimation,OU=groups",
]
ORDINARY, CROWD = 20, 1100
# user name: common name, first name, last name, what else is so
PEOPLE = {
    "amartin": ("Martin\\, Anne (interne)", "Anne", "Martin", {"department": "Réanimation"}),
    "élévy": ("Élodie Lévy-Çelik", "Élodie", "Lévy-Çelik", {"department": "Pharmacie"}),
    "obrien": ("O'Brien\\+Søn \\\"Bob\\\"", "Bob", "O'Brien", {}),
    "ended": ("Already Disabled", "Already", "Disabled", {"userAccountControl": "546"}),
}
# group: where it is, and its members, who may be groups
GROUPS = {
    "Pharmacists": (5, ["élévy"]),
    "ICU nurses": (5, ["amartin", "p1", "p2"]),
    "Nurses": (5, ["ICU nurses", "p3"]),
    "Caregivers": (5, ["Nurses", "Pharmacists"]),
    "Garde\\, nuit (week-end)": (5, ["amartin"]),
    "Pédiatrie et néonatologie - prescripteurs et dispensateurs": (7, ["p4"]),
}


def make(to, fqdn, password):
    host, dns = fqdn.split(".", 1)
    names = {"workgroup": dns.split(".")[0].upper(), "realm": dns.upper(), "host": host.upper(), "dir": to, "dns": dns}
    os.makedirs(to, exist_ok=True)
    with open(to + "/smb.conf", "w") as f:
        f.write(SETTINGS.format(**names))
    lp = LoadParm()
    lp.load(to + "/smb.conf")
    return provision(logging.getLogger(), system_session(), smbconf=to + "/smb.conf", lp=lp, realm=names["realm"],
                     domain=names["workgroup"], hostname=host, hostip="127.0.0.1", serverrole="dc",
                     dns_backend="SAMBA_INTERNAL", dom_for_fun_level=DS_DOMAIN_FUNCTION_2008_R2, adminpass=password).samdb


def add_person(db, name, cn, unit, more):
    dn = "CN=%s,%s,%s" % (cn, unit, db.domain_dn())
    # 512: enabled; 32: may be without a password, which none of them needs here
    db.add({"dn": dn, "objectClass": "user", "sAMAccountName": name, "userAccountControl": "544", **more})
    return dn


def fill(db, password):
    for unit in UNITS:
        db.add({"dn": "%s,%s" % (unit, db.domain_dn()), "objectClass": "organizationalUnit"})
    db.newuser("tessere", password, userou="OU=services")
    dns = {}
    for i, (name, (cn, given, family, more)) in enumerate(PEOPLE.items()):
        dns[name] = add_person(db, name, cn, UNITS[1], {"givenName": given, "sn": family, "displayName": given + " " + family,
                                                        "employeeID": str(1001 + i), **more})
    for i in range(1, ORDINARY + 1):
        dns["p%d" % i] = add_person(db, "p%d" % i, "Person %d" % i, UNITS[1], {"employeeID": "E%d" % i, "department": "Ward"})
    for i in range(CROWD):
        add_person(db, "c%d" % i, "Crowd %d" % i, UNITS[4], {"employeeID": "C%d" % i})
    for name, (unit, members) in GROUPS.items():
        dns[name] = "CN=%s,%s,%s" % (name, UNITS[unit], db.domain_dn())
        db.add({"dn": dns[name], "objectClass": "group", "sAMAccountName": name.replace("\\,", ""),
                "member": [dns[m] for m in members]})


def main():
    db = make(*sys.argv[1:4])
    db.transaction_start()
    fill(db, sys.argv[3])
    db.transaction_commit()


main()

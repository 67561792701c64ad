"""Words the demo's staff are made of: invented combinations of names from many places, departments, titles and groups. Plain data."""

from __future__ import annotations

from typing import NamedTuple


class Department(NamedTuple):
    """A department: code for rooms, name, its share of the staff, the titles of its people, its building."""

    code: str
    name: str
    weight: int
    titles: tuple[str, ...]
    building: str


DEPARTMENTS = (
    Department("ADM", "Administration", 3, ("Executive Assistant", "Management Analyst", "Receptionist"), "Courthouse"),
    Department("IT", "Information Technology", 5, ("Support Technician", "Systems Administrator", "Network Technician"), "Courthouse"),
    Department("CLK", "County Clerk", 8, ("Deputy Clerk", "Records Clerk", "Elections Clerk", "Licensing Clerk"), "Courthouse"),
    Department("SHF", "Sheriff", 26, ("Deputy", "Sergeant", "Dispatcher", "Corrections Officer", "Records Technician"), "Public Safety"),
    Department("ASR", "Assessor", 6, ("Appraiser", "Senior Appraiser", "GIS Analyst", "Assessment Clerk"), "Courthouse"),
    Department("TRS", "Treasurer", 4, ("Tax Clerk", "Cashier", "Accountant"), "Courthouse"),
    Department("FIN", "Finance", 5, ("Accountant", "Payroll Specialist", "Purchasing Agent"), "Courthouse"),
    Department("HR", "Human Resources", 3, ("HR Generalist", "Benefits Specialist"), "Courthouse"),
    Department("CRT", "District Court", 9, ("Court Clerk", "Bailiff", "Court Reporter", "Judicial Assistant"), "Courthouse"),
    Department("HLT", "Public Health", 12, ("Public Health Nurse", "Inspector", "Epidemiologist", "WIC Counselor"), "Health Center"),
    Department("SOC", "Human Services", 12, ("Case Worker", "Eligibility Technician", "Child Support Officer"), "Health Center"),
    Department("PWK", "Public Works", 16, ("Equipment Operator", "Road Foreman", "Civil Engineer", "Fleet Mechanic"), "Shop"),
    Department("LIB", "Library", 9, ("Librarian", "Library Assistant", "Children's Librarian"), "Main Library"),
    Department("SCH", "School District", 30, ("Teacher", "School Secretary", "Counselor", "Paraprofessional", "Librarian"), "Juniper High"),
    Department("PRK", "Parks and Recreation", 6, ("Groundskeeper", "Recreation Leader", "Park Ranger"), "Fairgrounds"),
    Department("PLN", "Planning", 4, ("Planner", "Building Inspector", "GIS Technician"), "Courthouse"),
    Department("EMG", "Emergency Management", 2, ("Emergency Planner", "Logistics Officer"), "Public Safety"),
)  # fmt: skip

HEADS = {
    "ADM": "County Administrator", "IT": "IT Director", "CLK": "County Clerk", "SHF": "Sheriff", "ASR": "County Assessor",
    "TRS": "County Treasurer", "FIN": "Finance Director", "HR": "HR Director", "CRT": "Court Administrator", "HLT": "Health Officer",
    "SOC": "Human Services Director", "PWK": "Public Works Director", "LIB": "Library Director", "SCH": "Superintendent",
    "PRK": "Parks Director", "PLN": "Planning Director", "EMG": "Emergency Manager",
}  # fmt: skip


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GIVEN = _words(
    """
    Abigail Aisha Alejandro Amara Ana Anders Andrzej Anh Aoife Benjamin Bjørn Brenda Caleb Carmen Chidi Chloé Cody Dakota Dana Darnell
    Deborah Diego Dolores Dwayne Elena Eli Emre Esperanza Ethan Eun-ji Fatima Fernanda Françoise Gary Giulia Grace Gunnar Halima
    Hannah Hector Hiroshi Imani Ingrid Isabel Ivan Jamal Janelle Jesús Jin Jorge José Joyce Kamala Karen Keiko Kimberly Kwame Lakshmi
    LaToya Leilani Liam Linh Lorraine Luís Łukasz Maeve Magdalena Malik Marcus María Marisol Mei Mohammed Nadia Naomi Nguyet Nia Nils
    Noor Olga Omar Óscar Patricia Pavel Priya Raúl Ravi Rebecca Renée Rhonda Rosa Ruth Samir Sandra Santiago Saoirse Sean Shanice
    Siobhán Sofia Søren Stacy Sunita Tamika Tariq Tereza Thanh Thérèse Thomas Tomás Tyler Uma Valentina Vang Vikram Wanda Wei Xiomara
    Yara Yuki Yusuf Zachary Zahra Zoë
    """
)
SURNAMES = _words(
    """
    Abdi Adeyemi Álvarez Andersson Archuleta Baca Baptiste Begay Bianchi Blackhorse Bondarenko Brown Castañeda Chávez Chen Choi Clark
    Cruz Dang Davis D'Angelo Diallo Dubois Eriksen Espinoza Fitzgerald Flores Fuentes García Gómez González Grabowski Gutiérrez Haddad
    Hansen Harris Hernández Hoàng Hughes Ibarra Ishikawa Ivanova Jackson Jaramillo Jensen Johnson Joseph Kaczmarek Kelly Khan Kim
    Kowalski Kumar Larsen Lee Li Little-Bear López Lucero Maldonado Marquez Martínez McCarthy McIntyre Mendoza Miller Montoya Moore
    Morales Müller Muñoz Nakamura Nez Ngata Nguyễn Novák Núñez O'Brien O'Connor Okafor Ortega Ortiz Owusu Patel Peña Pérez Petrov Phạm
    Quintana Ramírez Reyes Ríos Rivera Robinson Rodríguez Romero Ruiz Saito Salazar Sánchez Schmidt Šimková Singh Smith Söderberg
    Suárez Tanaka Taylor Thompson Torres Tran Trujillo Tsosie Turner Valdez Van-der-Berg Vargas Vigil Walker Washington Weiß White
    Williams Wójcik Wong Wright Xiong Yazzie Yellowhorse Yılmaz Young Zamora Zhang Żak
    """
)

FUNCTION_GROUPS = (
    ("all-staff", "Everybody: intranet, county calendar", False),
    ("vpn-users", "Remote access from outside", False),
    ("wifi-staff", "Wireless network of the staff", False),
    ("gis-editors", "May change the parcel map", False),
    ("payroll", "Payroll system", True),
    ("cjis-access", "Criminal justice information; fingerprinted and trained people only", True),
    ("election-systems", "Ballot and voter registration systems", True),
    ("public-web", "May publish on the county's web site", False),
    ("fleet-keys", "Vehicle booking", False),
    ("helpdesk", "Service desk: tickets, resets, unlocks", False),
    ("domain-admins", "Full control of the directory", True),
)

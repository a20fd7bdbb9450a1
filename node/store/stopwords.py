"""Stop words: words, folded, that say nothing about what a query is about.

* Articles, prepositions, pronouns, auxiliaries and question words.
* What pupils put around a question: "profe", "ayúdame", "no entiendo", "please".
* Kept out of queries only; lessons are indexed whole.
"""

from sync.lesson import Language

_SPANISH = """
a al algo algun alguna algunas alguno algunos alli ahi aqui ante antes aquel aquella aquellas
aquello aquellos asi aun aunque bajo bien cada casi como con contra cual cuales cualquier cuan
cuando cuanta cuantas cuanto cuantos cuya cuyas cuyo cuyos de del demas desde despues donde dos
durante e el ella ellas ellos en entonces entre era eramos eran eres es esa esas ese eso esos
esta estaba estaban estado estamos estan estar estas este esto estos estoy fue fueron fui ha
habia habian haber hace hacen hacer haces haciendo hacia haga hagan hagas hago han has hasta hay
haya he hecha hechas hecho hechos hemos hizo i incluso ir la las le les lo los luego mas me mejor
menos mi mia mientras mio mis misma mismas mismo mismos mucha muchas mucho muchos muy nada ni
ningun ninguna ninguno no nos nosotros nuestra nuestras nuestro nuestros nunca o os otra otras
otro otros para pero poca pocas poco pocos podemos poder podria podrian porque por puede pueden
puedes puedo pues q que quien quienes se sea sean segun ser sera seria si sido siempre sin sino
sobre sois solo somos son soy su sus suya suyas suyo suyos tal tales tambien tampoco tan tanta
tantas tanto tantos te tendria tenemos tener tengo tenia ti tiene tienen tienes toda todas
todavia todo todos tras tu tus tuya tuyo u un una unas uno unos usted ustedes va vamos van vas
vez voy x xq y ya yo debe deben debemos debo deberia
amiga amigo ayuda ayudame ayudeme buenas cosa cosas cuentame dame decir di dias dice dicen digame
dime ejemplo ejemplos entender entiendo explica explicame explicar expliqueme favor forma formas
gracias habla hablame hablar hola llama llamada llamado llaman llamar maestra maestro manera miss
necesito podrias porfa porfavor pregunta profe profesor profesora queria quiere quiero quisiera
sabe saber sabes senorita significa significado significan sirve sirven consiste tardes tarea
tipo tipos trata
"""

_ENGLISH = """
a about after all also am an and any are as at be because been before being between both but by
can cannot could did do does doing done for from get gets give had has have having he her here
hers him his how i if in into is it its just let me more most much many my no not of on one only
or other our ours out over own please same she should so some such than that the their theirs
them then there these they this those through to too under until up us very was we were what when
where which while who whom whose why will with would you your yours dont doesnt isnt im
teacher explain tell help homework question mean means meaning thing things example examples know
want need hello hi thanks thank called call happen happens
"""

_QUECHUA = """
ima imam imapaq imapaqtaq imarayku imaraykutaq imanasqa imata imataq imataqmi imayna imaynam
imaynata imaynatataq imaynataq pi pim pikuna pikunataq pitaq mayqin mayqinmi mayqintaq may
maymanta maymantataq maypi maypim maypitaq mayta hayka haykam haykapi haykaq haykaqtaq haykataq
ancha ari ichaqa icha utaq hinaspa hinaspapas huk llapa llapan sapa kay kaypi kayqa chay chaymanta
chaymi chaypi chayqa haqay kachkan kan kani kanki kanku kashan kaspa kasqa mana manam nin ninku niy
niwan niway nuqa nuqanchik nuqayku pay paykuna qam qamkuna ruwan ruwana ruwani ruwasaq
ruwasunman sutin sutiyuq willaway yachachiq yachachiway
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS: dict[Language, frozenset[str]] = {
    "es": _words(_SPANISH),
    "en": _words(_ENGLISH),
    "qu": _words(_QUECHUA),
}

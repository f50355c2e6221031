"""Common English words, each one token after a space in the vocabularies of Mistral, Qwen and SmolLM2.

They are those of the 3,000 most frequent words of the corpus that have one token in each of Mistral's
SentencePiece and Tekken vocabularies, in Qwen's and in SmolLM2's. A sentence of only such words has as many
tokens as words and marks.
"""

_TEXT = """
    A a abandon abandoned ability able about above abroad absence absolute absolutely abundance abuse
    accept accepted access accompanied accompanying accomplish accomplished accord accordance according
    accordingly account accounts achieve achieved achievement acknowledged acquired acquisition acres
    across Act act acted acting action actions active activities activity acts actual actually adapted
    add added addition additional address addressed adequate adjust adjusted Administration
    administration administrative admission admit admitted adopt adopted adoption advance advanced
    advances advantage advantages advice affairs affect affected affecting afford Afghanistan Africa
    African After after afterwards again against age agencies agency agenda agent agents aggregate ago
    agree agreed agreement agreements agricultural agriculture ahead aid aim air Alaska alike All all
    alleged allies allow allowed almost alone along already also alternative Although although
    altogether always am America American Americans Among among amount amounts An an AND And and
    announce announced annual annually Another another answer anti anticipated anxious any anything
    apart apparent appeal appear appears applicable application applied apply appointed appointment
    appreciation approach appropriate approval approved April are area areas arise armed arms Army army
    around arrangement arrangements arrived article articles arts As as Asia aside ask asked asking
    assembled assigned assist assistance assume assumed assure assured At at Atlantic attack attacks
    attempt attempted attended attention attitude Attorney August Austria authorities authority
    authorized available average avoid avoided award away back bad balance balanced Bank bank banking
    banks barriers base based basic basis battle Bay be bear bearing became Because because become
    becomes becoming been before began begin beginning begun behalf behind being belief believe believed
    belong belonging below beneficial benefit benefits Besides best better between beyond big bill
    billion bills bless blood Board board body bonds books border borders born Both both bound
    boundaries boundary branch branches brave Brazil break brief bring bringing Britain British broad
    broken brought budget build building buildings built burden Bureau business businesses But but buy
    By by cable calculated California call called calling calls came campaign can Canada Canal canal
    cannot capable capacity capital care career careful carefully carried carry carrying case cases cash
    cause caused causes census cent centers Central central cents century certain certainly challenge
    challenges Chamber chance change changed changes changing channels character charge charged charges
    check Chief chief child children Chile China Chinese choice choose chosen circuit circulation
    circumstances cities citizen citizens City city Civil civil civilian civilization claim claimed
    claims class classes clean clear clearly climate close closed closely closer coal coast coin
    collected collection collective college Colombia Columbia combat combination combinations combined
    come comes coming command Commerce commerce commercial Commission commission commitment committed
    Committee committee common communication communications Communist communities community companies
    Company company compared compensation compete competition competitive complaint complete completed
    completely completion complex compliance composed comprehensive compromise concern concerned
    concerning concerns concluded conclusion condition conditions conduct conducted Conference
    conference confidence confident confirmed conflict conflicts Congress connected connection consent
    consequence consequences conservation consider considerable consideration considered considering
    consistent constant constantly Constitution constitution constitutional construction consumer
    consumers consumption contained contains contest continent continue continued continues continuing
    contract contracts contrary contribute contributed contribution contributions control controls
    controversy convenient Convention convention conviction convinced cooperation copy corporate
    corporation corporations Corps corps correct correspondence corresponding cost costs cotton could
    Council counsel countries country courage course Court court courts cover coverage covered create
    created creating creation credit credits crime crimes criminal crisis critical crop crops Cuba
    currency current customs cut cuts cutting d daily damage danger dangerous date day days deal dealing
    death debt decade decades December decent decide decided decision decisions declaration declared
    decline declined decrease deemed deep deeply defeat defend Defense defense defined degree delay
    delayed delivered delivery demand demanded demands democracy democratic Democrats demonstrate
    demonstrated denied Department department departments depend dependence dependent depends deposit
    depression derived deserve designated designed desire desired destroy destroyed destruction detail
    detailed details determination determine determined determining develop developed developing
    Development development devoted did difference differences different difficult difficulties
    difficulty dignity direct directed direction directly disabled disaster discipline discrimination
    discussed discussion disease dispatch dispute distant distinguished distress distributed
    distribution District district districts divided division do doctrine documents does doing dollar
    dollars domain domestic don done double doubt down draw drawn dream dreams drive drug drugs due
    During during duties duty Each each earlier earliest early earn earned Earth earth easily East
    Eastern easy Economic economic economy Education education educational effect effective effectively
    effectiveness effects efficiency efficient effort efforts eight either elected election elections
    element elements eliminate else elsewhere emergency Emperor emphasis Empire employ employed
    employees employers employment enable enabled encourage encouraged encouraging end ended ending ends
    enemies enemy Energy energy enforce enforcement engage engaged England enhance enjoy enjoyed
    enormous enough ensure enter entered entering enterprise entire entirely entitled environment
    environmental equal equality equally equipment equity equivalent era escape especially essential
    establish established establishing establishment estimate estimated estimates Europe European Even
    even event events ever Every every everyone everything everywhere evidence evident evil exact
    examination examine example exceed excellent except exception excess excessive exchange exclusive
    executed execution Executive executive exercise exhibit exist existed existence existing exists
    expand expanded expanding expansion expect expectation expectations expected expedition expense
    expenses experience experienced experiment export exports exposed express expressed expression
    extend extended extending extension extensive extent extraordinary extreme face faced facilitate
    facilities fact factor facts fail failed failure fair fairly faith faithful fall fallen false
    families family far farm farmer farmers farms fast favor fear feature features February Federal
    federal feel feeling feelings Fellow fellow felt few field fields fifty fight fighting filled final
    Finally finally finance financial financing find fine fire firm firmly First first fiscal fit five
    fix fixed flag fleet Florida flow focus follow followed following follows food For for force forced
    forces foreign forest forests forever forget form formed former forms forth fortunate forward foster
    fought found foundation founded four fourth France fraud free freedom French frequent frequently
    friendly friends friendship From from front fuel fulfill full fully function functions fund
    fundamental funding funds further future gain gained gains gas gave General general generally
    generation generations generous German Germany get getting give given gives giving global go goal
    goals God goes going gold gone good goods got governed Government government governments Governor
    governor grade gradually grant granted grants grateful gratitude grave Great great greater greatest
    greatly gross ground grounds group groups grow growing grown growth guarantee guard guide Gulf gun
    guns habits had half hand hands happen happily happiness happy hard hardly harmony has have having
    Hawaii He he head heads Health health healthy heard heart hearts heavy held help helped helping Her
    her Here here high higher highest highly highway him himself His his historic history hold holding
    home homes honest honor hope hoped hopes hospital hostile hour hours House house houses housing How
    how However however human humanity hundred hundreds I idea ideas If if II ill illegal immediate
    immediately immense immigrants immigration importance important imported imports imposed impossible
    improve improved improvement improvements improving In in incident include included includes
    including income increase increased increases increasing increasingly Indeed indeed independence
    independent Indian Indians indicated individual individuals induced industrial industries industry
    inevitable inflation influence influences inform information informed inhabitants initiative
    initiatives injuries injury innocent insist inspection instance instances instead institution
    institutions instruction instructions instrument insurance integrity intelligence intelligent intend
    intended intention interest interested interesting interests interference Interior interior internal
    International international intervention into introduced invasion invest invested investigation
    investment investments invitation invite invited involve involved involves involving Iran Iraq is
    island Islands islands Israel issue issued issues It it Italy items Its its itself January Japan
    Japanese job jobs John join joined joint judge judges judgment July June Just just Justice justice
    justified justify Kansas keep keeping kept key kids killed kind kinds King know knowledge known
    Korea Labor labor lack laid land lands language large largely larger largest Last last lasting late
    lately later Latin latter launched law laws lay lead leaders leadership leading learn learned
    learning least leave leaving led left legal legislation legitimate length less Let let letter level
    levels liability liberal liberty lie lies life light like likely likewise limit limitation
    limitations limited limits line lines list little live lives living ll loan loans local London long
    longer look looking lose loss losses lost lot Louisiana love low lower lowest M m machinery made
    magnitude mail main maintain maintained maintaining maintenance major majority make makes making man
    management manifest manner manufacturers manufacturing Many many March marine marked market markets
    mass material materials matter matters maximum May may me mean meaning means meantime measure
    measures medical medium meet meeting member Members members men mentioned merchant mere merely
    Message message messages met method methods Mexican Mexico Middle middle might miles military
    million millions mind minds mines minimum minister minority mission Mississippi Missouri mode
    moderate modern modification moment money month months moral More more Moreover Most most move moved
    movement moving Mr Much much municipal murder must mutual My my myself name Nation nation National
    national Nations nations native natural naturally nature naval navigation Navy navy near nearly
    necessarily necessary necessity need needed needs negotiations neighborhood neighbors neither net
    neutral never nevertheless New new next night nine No no non none Nor nor normal North north
    northern Not not note notes Nothing nothing notice November Now now nuclear number numbers numerous
    object objective objectives objects obligation obligations observe observed obtain obtained
    obtaining obvious occasion occasions occupation occupied occur occurred ocean October OF Of of off
    offense offer offered offers Office office officer officers offices official officials often Ohio
    oil old older On on once One one ones Only only open opened opening operate operating operation
    operations opinion opinions opportunities opportunity opposed opposition or order ordered orders
    ordinary Oregon organization organizations organized origin original Other other others otherwise
    ought Our our ours ourselves out outside outstanding Over over overcome owe own owners ownership
    Pacific paid paper papers parents Paris part participate participation particular particularly
    parties partners partnership parts party pass passage passed passing past path pay paying payment
    payments Peace peace peaceful peculiar pending pension People people peoples per percent perfect
    perform performance performed perhaps period periods permanent permanently permit permitted person
    personal personnel persons Peru Philippines physical place placed places plain plan planning plans
    plant plants play pleasure point points police policies policy political politics pollution poor
    popular population port portion portions ports Portugal position positions positive possess
    possessed possession possibility possible Post post posts potential poverty power powerful powers
    practical practically practice practices precious preparation prepare prepared presence present
    presented presents preserve preserved President press pressing pressure prevent prevented preventing
    prevention previous previously price prices pride primary principal principle principles prior
    priorities priority prisoners private privilege probable probably problem problems procedure proceed
    proceedings process produce produced producing product production productive productivity products
    profit profitable profits profound program programs progress progressive project projects promise
    promised promises promote promoted promoting promotion prompt proof proper properly property
    proportion proposal proposals propose proposed proposition prospect protect protected protecting
    protection proud prove proved provide provided provides providing provision provisions public
    punishment purchase purchased purchasing purpose purposes pursue pursuit put putting quality
    quantity quarter quarters question questions quickly quiet quite race railway raise raised raising
    range rank rapid rapidly rate rates rather re reach reached reaching readily ready real realize
    realized really reason reasonable reasonably reasons receive received receiving recent recently
    recognition recognize recognized recommend recommendation recommendations recommended record records
    recovery reduce reduced reducing reduction refer reference referred reflect reform refused regard
    regarded region regions regret regular regulation regulations regulatory related relating relation
    relations relationship relative release relief relieved religion religious rely remain remainder
    remained remaining remains remarkable remember remote removal remove removed removing render
    rendered renew repair repeat repeated repeatedly report reported reports represent representation
    representative representatives represented represents Republic Republicans request requested require
    required requirements requires requiring research reserve reserved reserves resist resistance
    resolution resolve resort resource resources respect respective respond response responsibility
    responsible rest restoration restore restored restrictions result resulted resulting results retain
    retirement return returned returns revenue review revision revolution reward rich Rico right Rights
    rights rigid Rio rise rising risk River river rivers road roads role rolls room route routes rule
    rules run rural Russia Russian S s sacred sacrifice safe safely safer safety said sale sales same
    San satisfaction satisfied save saved saving savings saw say scale scheme school schools science
    scientific scope sea search seas season Second second Secretary section sections sector secure
    secured Security security see seek seeking seem seemed seems seen selected selection self sell
    Senate send sense sensible sent sentiment separate September series serious seriously servants serve
    served Service service services session set setting settle settled settlement seven several severe
    shall shape share shared sharing She she ship shipping ships short shortly Should should show
    showing shown shows side sides signed significant silver similar simple simply Since since single
    situation six size skill skills slave slavery small smaller So so Social social society soil sold
    soldiers solely solution solve Some some something sometimes somewhat soon sought sound source
    sources South south Southern southern Soviet space Spain Spanish speak special specific speed spend
    spending spent spirit spread spring St st stability stable stage stake stand standard standards
    standing stands start started State state stated statement States states station stations status
    stay steady step steps still stock stood stop stopped strategic strategy streets strength strengthen
    strict strike striking strong stronger strongest strongly structure struggle student students study
    subject subjects submit submitted subsequent substantial succeed succeeded success successful
    successfully Such such sudden suffer suffered suffering sufficient sufficiently sugar suggest
    suggested suggestion suggestions suitable sum summer supplied supplies supply support supported
    supporting supposed Supreme sure surely survey surveys suspended suspension sustain sustained
    sympathy system systems t take taken takes taking task tasks tax taxes teachers technical technology
    tell temporary ten tend tendency tender term terms territory terror test Texas th than Thank thank
    thanks That that THE The the Their their them themselves then theory There there thereby Therefore
    therefore These these They they thing things think Third third thirty This this thorough thoroughly
    Those those though thought thousand thousands threat threatened threatening threats three Through
    through throughout Thus thus ties time times title To to Today today together told tonight tons too
    took tools top total toward towns trade trading traffic train trained training transactions transfer
    transferred transit transition transportation travel treat treated treatment trial tribes tried
    troops trouble true truly trust truth try trying Turkey turn turned twenty Two two type U ultimate
    ultimately unable Under under understand understanding understood unemployment unfortunate uniform
    Union union United united units unity universal unless unnecessary until up Upon upon upward urban
    urge urged urgent us use used useful uses using usual Utah valuable value values various vast ve
    Venezuela very vessel vessels veterans Vice victims victory Vietnam view views violation violence
    violent virtue vision visit visited vital voice volume volunteers vote wage wages wait want wants
    War war wars was Washington waste water waters way ways We we wealth weapons week weeks weight
    welcome welfare Well well went were West west Western western What what Whatever whatever When when
    whenever where wherever whether which While while whilst White white who whole whom whose why wide
    widely widespread will willing win wisdom wise wish wishes With with withdrawal Within within
    Without without woman women won words work worked worker workers working works World world worse
    worth worthy would wrong yards year years Yet yet yield York You you young Your your youth
"""
COMMON_WORDS = frozenset(_TEXT.split())

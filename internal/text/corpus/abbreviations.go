package corpus

import "strings"

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

// Abbreviations without their last full stop, by what a full stop after them means.
var (
	// titles come before a name.
	titles = set(`Mr Mrs Ms MM Messrs Mme Mlle Mmes Mlles Mons Dr Drs Prof Profs Rev Revd Hon St Ste SS Sts Gen Col Maj Capt Cpt Cmdr Lieut
		Lt Sergt Sgt Cpl Pvt Adm Brig Gov Pres Sen Rep Reps Sens Supt Atty Fr Mt Ft Msgr Mgr Fthr Bro Bp Abp Ald Amb Treas
		Herr Sig Sra Srta Sta Wm Thos Jas Chas Geo Robt Saml Danl Edw Benj Jno Alex Eliz`)
	// inner words are followed by more of their sentence. In lower case, as the ones below.
	inner = set(`e.g i.e eg ie viz cf vs v ca approx resp incl excl esp aka a.k.a i.q sc scil h.e`)
	// numbered words belong to the number that follows, and are words of their own or the end of a sentence otherwise.
	numbered = set(`no nos p pp par para paras art arts fig figs eq eqs eqn ch chap chaps sec sect secs vol vols pt pts bk bks app
		ex exs tab tabs ver act sc st op n nn l ll fol ff verse vv col cols ed eds cap lib tit`)
	// trailing words end a sentence only before a word that often begins one.
	trailing = set(`inc ltd co corp bros cos mfg sr jr u.s u.k u.n u.s.a u.s.s.r d.c e.u ph.d m.d b.a m.a b.s m.s b.sc m.sc ll.d d.d m.p esq esqr
		ave blvd rd hwy sq dept assn assoc univ inst est dist natl govt al ibid loc cit trans repr rev ft lb lbs oz hr hrs min mins yr yrs
		b.c a.d n.y n.j l.a s.c n.c op.cit loc.cit q.v s.v n.b p.s mss ms`)
	// ending words end a sentence before any capital, but for a day or a month.
	ending = set(`etc a.m p.m am pm etc.etc`)
	// beforeNames are words between which and a name "I." is an initial: "by I. Newton".
	beforeNames = set(`by of from with Mr Dr Prof Sir Lord`)
)

// months are shortened months and days: before a number no sentence ends after them.
var months = set(`Jan Feb Mar Apr Jun Jul Aug Sept Sep Oct Nov Dec Mon Tue Tues Wed Thu Thur Thurs Fri Sat Sun`)

// calendar words follow an hour.
var calendar = set(`Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August September
	October November December Jan Feb Mar Apr Jun Jul Aug Sept Sep Oct Nov Dec Mon Tue Wed Thu Fri Sat Sun Eastern Central Pacific Greenwich
	EST EDT CST CDT PST PDT GMT UTC BST`)

// starters are words that begin a sentence far more often than a name.
var starters = set(`A An The He She It They We I You This That These Those There Here His Her Its My Our Your Their What Who Whom Whose Which
	When Where Why How If Unless Until Since Because Although Though While As At By For From In Into On Of Out Over Upon With Without Within
	To Toward Towards Through During Before After Between Among Against About Above Under Below And But Or Nor So Yet Then Thus Hence
	Therefore However Moreover Meanwhile Nevertheless Perhaps Maybe Indeed Still Now Once Even Only Just Also Some Any Each Every Both All
	Most Many Much More Several Such Other Another No Not Never Nothing None Nobody Yes Is Are Was Were Do Does Did Can Could Will Would
	Shall Should May Might Must Have Has Had Let Oh Ah Well Please See Note Two Three Four Five First Second Finally Later Soon Today
	I'm I've I'd I'll It's He's She's That's There's Don't I’m I’ve I’d I’ll It’s He’s She’s That’s There’s Don’t`)

// speech are verbs that tell who spoke.
var speech = set(`said says cried cries asked asks replied replies answered answers exclaimed exclaims whispered whispers shouted shouts
	murmured muttered inquired enquired repeated added continued called returned observed remarked demanded screamed sobbed gasped
	interrupted ejaculated began thought wondered faltered echoed growled laughed roared retorted responded suggested urged`)

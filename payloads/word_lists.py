"""Common words of several languages, from which prompts are made where no free text is at hand.

A list of a language's most common words belongs to nobody; no text was copied.
"""

from configs.payload_spec import Language

WORDS: dict[Language, str] = {
    "de": """
        der die das und ist nicht ein eine mit auf für dem den von sich auch als an es bei aus nach wie
        wir sie zeit jahr tag haus land stadt leben arbeit welt frau mann kind frage wasser schule weg
        seite teil ende morgen abend woche monat stunde geld hand kopf auge herz licht buch bild wort
        sprache musik tür fenster tisch garten baum blume straße zug reise meer fluss berg wald sonne
        regen winter sommer freund familie vater mutter bruder schwester nachbar lehrer arzt markt brot
        milch kaffee apfel preis plan grund recht große kleine neue alte gute lange junge schöne erste
        letzte andere viele kurze offene ganze gehen kommen sehen machen sagen geben finden denken
        wissen bleiben stehen liegen bringen halten schreiben lesen lernen spielen fragen zeigen helfen
        kaufen warten beginnen glauben heute gestern immer wieder schon noch nur sehr hier dort oft bald
        dann zusammen gern
    """,
    "es": """
        el la los las un una de en que y a por con para como pero más sin sobre entre cuando donde
        porque también tiempo año día casa país ciudad vida trabajo mundo mujer hombre niño pregunta
        agua escuela camino parte fin mañana noche semana mes hora dinero mano cabeza ojo corazón luz
        libro palabra lengua música puerta ventana mesa jardín árbol flor calle tren viaje mar río monte
        bosque sol lluvia invierno verano amigo familia padre madre hermano hermana vecino maestro
        médico mercado pan leche café manzana precio plan grande pequeño nuevo viejo bueno largo joven
        bonito primero último otro mucho corto abierto todo ir venir ver hacer decir dar encontrar
        pensar saber quedar estar llevar tener vivir escribir leer aprender jugar preguntar mostrar
        ayudar comprar esperar empezar creer hoy ayer siempre nunca ya aún muy aquí allí
    """,
    "fr": """
        le la les un une de en que et à par avec pour comme mais plus sans sur entre quand où parce
        aussi dans temps année jour maison pays ville vie travail monde femme homme enfant question eau
        école chemin partie fin matin soir semaine mois heure argent main tête cœur lumière livre mot
        langue musique porte fenêtre table jardin arbre fleur rue train voyage mer fleuve montagne forêt
        soleil pluie hiver été ami famille père mère frère sœur voisin maître médecin marché pain lait
        café pomme prix plan raison droit grand petit nouveau vieux bon long jeune beau premier dernier
        autre court ouvert tout aller venir voir faire dire donner trouver penser savoir rester être
        porter avoir vivre écrire lire apprendre jouer demander montrer aider acheter attendre commencer
        croire hier toujours jamais déjà encore très ici souvent bientôt ensemble
    """,
    "pt": """
        o a os as um uma de em que e por com para como mas mais sem sobre entre quando onde porque
        também tempo ano dia casa país cidade vida trabalho mundo mulher homem criança pergunta água
        escola caminho parte fim manhã noite semana mês hora dinheiro mão cabeça olho coração luz livro
        palavra língua música porta janela mesa jardim árvore flor rua viagem mar rio monte floresta sol
        chuva inverno verão amigo família pai mãe irmão irmã vizinho professor médico mercado pão leite
        café maçã preço plano razão direito grande pequeno novo velho bom longo jovem bonito primeiro
        último outro muito curto aberto todo ir vir ver fazer dizer dar encontrar pensar saber ficar
        estar levar ter viver escrever ler aprender jogar perguntar mostrar ajudar comprar esperar
        começar crer hoje ontem sempre nunca já ainda aqui ali
    """,
    "zh": """
        我们 你们 他们 这个 那个 什么 怎么 因为 所以 但是 如果 可以 应该 已经 还是 时候 时间 今天 明天
        昨天 现在 以后 以前 国家 城市 学校 老师 学生 朋友 家人 父亲 母亲 孩子 工作 生活 世界 问题 办法
        事情 东西 地方 房子 门口 窗户 桌子 花园 树木 河水 大海 高山 森林 太阳 下雨 冬天 夏天 早上 晚上
        星期 电影 音乐 语言 文字 书本 图片 报纸 火车 汽车 飞机 旅行 市场 面包 牛奶 咖啡 苹果 价格 计划
        原因 医生 邻居 很大 很小 很新 很好 很长 年轻 美丽 第一 最后 许多 一起 经常 知道 看见 听说 觉得
        希望 开始 结束 学习 帮助 购买 等待 相信 回答 写信 读书 喜欢 需要 发现 带来 离开 回来 决定
    """,
    "ja": """
        私たちは あなたは 彼らは これは それは 今日は 明日は 昨日は 毎日 いつも 時々 すぐに とても
        もっと また 国の 町の 学校で 先生が 学生が 友達と 家族と 父が 母が 子供が 仕事を 生活を 世界の
        問題を 方法を 物を 場所で 家に 門の 窓を 机の 庭で 木の 川の 海へ 山へ 森の 太陽が 雨が 冬に
        夏に 朝に 夜に 週末に 映画を 音楽を 言葉を 文字を 本を 写真を 新聞を 電車で 車で 飛行機で 旅行を
        市場で パンを 牛乳を コーヒーを りんごを 値段が 計画を 医者が 隣の 大きい 小さい 新しい 古い
        良い 長い 若い 美しい 最初の 最後の 多くの 一緒に 知っている 見ている 聞いた 思っている 始めた
        終わった 学んだ 助けた 買った 待っている 信じている 答えた 書いた 読んだ 好きだ 必要だ 見つけた
        持ってきた 出かけた 帰った 決めた
    """,
}
"""Words of each language, separated by white space."""

WRITTEN_WITHOUT_SPACES: frozenset[Language] = frozenset({"zh", "ja"})

import ts from 'typescript'

/** One change to a file: the text between two places of it becomes another. */
export interface Mutant {
  readonly from: number
  readonly to: number
  readonly text: string
  readonly line: number
}

const INSTEAD: Readonly<Record<string, string>> = {
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '===': '!==',
  '!==': '===',
  '&&': '||',
  '||': '&&',
  '??': '&&',
  '+': '-',
  '-': '+',
  '*': '/',
  true: 'false',
  false: 'true',
}

/** All changes to operators, conditions, returns and statements that a file of TypeScript can take, in order. */
export function mutantsOf(source: string): readonly Mutant[] {
  const file = ts.createSourceFile('lib.ts', source, ts.ScriptTarget.Latest, true)
  const found: Mutant[] = []
  const change = (node: ts.Node, text: string) => {
    const from = node.getStart(file)
    found.push({ from, to: node.getEnd(), text, line: file.getLineAndCharacterOfPosition(from).line + 1 })
  }
  const inverted = (condition: ts.Expression) => change(condition, `!(${condition.getText(file)})`)

  function visit(node: ts.Node): void {
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isImportDeclaration(node)) return
    if (ts.isBinaryExpression(node)) {
      const operator = INSTEAD[node.operatorToken.getText(file)]
      if (operator !== undefined && !isTextual(node)) change(node.operatorToken, operator)
    }
    if (ts.isIfStatement(node)) inverted(node.expression)
    if (ts.isConditionalExpression(node)) inverted(node.condition)
    if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken) {
      change(node, node.operand.getText(file))
    }
    if (ts.isReturnStatement(node) && node.expression !== undefined && node.expression.getText(file) !== 'undefined') {
      change(node.expression, '(undefined as never)')
    }
    if (ts.isExpressionStatement(node)) change(node, ';')
    const literal = INSTEAD[node.getText(file)]
    if (literal !== undefined && /Keyword$/.test(ts.SyntaxKind[node.kind])) change(node, literal)
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

/** A sum of texts, which has no difference. */
function isTextual(node: ts.BinaryExpression): boolean {
  return [node.left, node.right].some((side) => ts.isStringLiteralLike(side) || ts.isTemplateExpression(side))
}

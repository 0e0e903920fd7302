import { dynacode } from 'dynacode'
import Koa from 'koa'
import scenario from './scenario.cjs'

await scenario({ Koa, dynacode, closes: true })
